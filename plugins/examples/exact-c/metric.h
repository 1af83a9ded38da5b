// The three metrics of evaluator-exact: their parameters, and their value for one output. It knows nothing of the host,
// so that it can be tested natively.
#ifndef METRIC_H
#define METRIC_H

#include "encaje_json.h"

typedef enum { EXACT_MATCH, TOKEN_F1, LENGTH } metric_kind;

typedef struct {
  metric_kind kind;
  // What is evened out before texts are compared (SQuAD; Rajpurkar et al. 2016), in this order.
  bool lowered, unpunctuated, without_articles, spaced;
  enum { CHARACTERS, WORDS, BYTES } unit;
  bool has_min, has_max;
  uint64_t min, max;
} metric;

// Reads the parameters; NULL, or what is wrong with them. `*param` names the one that is meant.
const char *metric_read(metric *metric, metric_kind kind, encaje_json params, const char **param);
// Appends the text after the metric's steps.
void metric_normalise(const metric *metric, encaje_text text, encaje_buffer *to);
// The value for one reference, both sides normalised.
double metric_compare(const metric *metric, encaje_text output, encaje_text reference);
double metric_length(const metric *metric, encaje_text output);

#endif
