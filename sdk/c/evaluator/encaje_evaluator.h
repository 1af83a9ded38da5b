// For plugins that give scores for what a model said. The plugin writes the functions below; this part lists the
// metrics, keeps the runs, answers `check` (a plugin that has something to check writes its own), and tells the mean
// and the spread of a run's values (Welford 1962), so that a run costs no memory.
#ifndef ENCAJE_EVALUATOR_H
#define ENCAJE_EVALUATOR_H

#include "encaje.h"

// A metric as it is listed; higher is better, and the same input always gives the same score.
typedef struct {
  const char *name, *description;
  double lowest;
  bool has_highest;
  double highest;
  bool needs_references;
  // JSON Schema of the parameters.
  const char *params;
} encaje_metric;

typedef exports_encaje_evaluator_evaluator_sample_t encaje_sample;

// The value for one sample, and what is said of it; empty is nothing.
typedef struct {
  double value;
  encaje_buffer explanation;
} encaje_verdict;

// The plugin's metrics, ended by one whose name is NULL.
extern const encaje_metric encaje_metrics[];

// Begins a run of one of them: the plugin's own state. NULL with a problem where the parameters do not fit; they are an
// object, or of kind ENCAJE_JSON_NONE where what came is no JSON object.
void *encaje_run_start(const encaje_metric *metric, encaje_json params, encaje_problem *problem);
// Judges one sample; false with a problem where it cannot be judged.
bool encaje_run_judge(void *run, const encaje_sample *sample, encaje_verdict *verdict, encaje_problem *problem);
// Whether the spread is told beside the mean: of values that are more than yes or no.
bool encaje_run_tells_spread(const void *run);
void encaje_run_free(void *run);

#endif
