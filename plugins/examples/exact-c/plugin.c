// An evaluator in C that needs nothing but the texts: the metrics of evaluator-exact, with the same scores. This file
// speaks with the host; metric.c is the metrics.
#include "encaje_evaluator.h"
#include "metric.h"

#include <stdlib.h>

// Bytes of an output or a reference: forty times a long answer. Judging one takes milliseconds.
enum { MOST_TEXT_BYTES = 1 << 20 };
// Right answers of one sample: published sets have ten at most.
enum { MOST_REFERENCES = 256 };
// Bytes of the references of one sample: each is compared with the output.
enum { MOST_REFERENCE_BYTES = 4 << 20 };

#define NORMALISING                                                                                                    \
  "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"normalise\":{\"description\":\"What is "      \
  "evened out before texts are compared; absent is all of it\",\"type\":\"array\",\"uniqueItems\":true,\"items\":"     \
  "{\"enum\":[\"case\",\"punctuation\",\"articles\",\"whitespace\"]}}}}"
#define LENGTH_PARAMS                                                                                                  \
  "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"unit\":{\"enum\":[\"characters\",\"words\","  \
  "\"bytes\"],\"default\":\"characters\"},\"min\":{\"description\":\"The score is 1 from here on, else 0\","           \
  "\"type\":\"integer\",\"minimum\":0},\"max\":{\"description\":\"The score is 1 up to here, else 0\",\"type\":"       \
  "\"integer\",\"minimum\":0}}}"

// In the order of metric_kind.
const encaje_metric encaje_metrics[] = {
    {"exact_match",
     "1 where the output equals one of the references after normalisation, else 0 (SQuAD; Rajpurkar et al. 2016)", 0,
     true, 1, true, NORMALISING},
    {"token_f1",
     "Harmonic mean of precision and recall over bags of normalised tokens, the best of the references (SQuAD; "
     "Rajpurkar et al. 2016)",
     0, true, 1, true, NORMALISING},
    {"length", "The output's length; with `min` or `max` 1 where it lies between them (both included), else 0", 0,
     false, 0, false, LENGTH_PARAMS},
    {0},
};

void *encaje_run_start(const encaje_metric *listed, encaje_json params, encaje_problem *problem) {
  metric *run = encaje_allocate(1, sizeof *run);
  const char *param;
  const char *wrong = metric_read(run, (metric_kind)(listed - encaje_metrics), params, &param);
  if (wrong == NULL) return run;
  free(run);
  encaje_fail(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_INVALID_REQUEST, wrong);
  encaje_fail_param(problem, param);
  return NULL;
}

void encaje_run_free(void *run) { free(run); }

bool encaje_run_tells_spread(const void *run) {
  const metric *metric = run;
  return metric->kind == TOKEN_F1 || (metric->kind == LENGTH && !metric->has_min && !metric->has_max);
}

static bool too_large(encaje_problem *problem, const char *param, encaje_buffer *message) {
  encaje_fail_with(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_TOO_LARGE, message);
  encaje_fail_param(problem, param);
  return false;
}

// Whether a sample can be judged at all.
static bool check(const metric *metric, const encaje_sample *sample, encaje_problem *problem) {
  encaje_buffer message = {0}, param = {0};
  if (sample->output.len > MOST_TEXT_BYTES) {
    encaje_print(&message, "`output` has more than %d bytes; shorten it", MOST_TEXT_BYTES);
    return too_large(problem, "output", &message);
  }
  if (metric->kind == LENGTH) return true;
  if (sample->references.len == 0) {
    encaje_print(&message, "`%s` needs at least one reference", encaje_metrics[metric->kind].name);
    encaje_fail_with(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_INVALID_REQUEST, &message);
    encaje_fail_code(problem, "references_missing");
    encaje_fail_param(problem, "references");
    return false;
  }
  if (sample->references.len > MOST_REFERENCES) {
    encaje_print(&message, "a sample has at most %d references", MOST_REFERENCES);
    return too_large(problem, "references", &message);
  }
  size_t sum = 0;
  for (size_t place = 0; place < sample->references.len; place++) {
    size_t len = sample->references.ptr[place].len;
    sum += len;
    if (len <= MOST_TEXT_BYTES) continue;
    encaje_print(&param, "references[%zu]", place);
    encaje_print(&message, "`%s` has more than %d bytes; shorten it", param.ptr, MOST_TEXT_BYTES);
    too_large(problem, param.ptr, &message);
    encaje_release(&param);
    return false;
  }
  if (sum <= MOST_REFERENCE_BYTES) return true;
  encaje_print(&message, "the references of a sample have at most %d bytes together", MOST_REFERENCE_BYTES);
  return too_large(problem, "references", &message);
}

bool encaje_run_judge(void *run, const encaje_sample *sample, encaje_verdict *verdict, encaje_problem *problem) {
  const metric *metric = run;
  if (!check(metric, sample, problem)) return false;
  if (metric->kind == LENGTH) {
    verdict->value = metric_length(metric, encaje_text_from(sample->output));
    return true;
  }
  encaje_buffer output = {0};
  metric_normalise(metric, encaje_text_from(sample->output), &output);
  size_t best = 0;
  for (size_t place = 0; place < sample->references.len; place++) {
    encaje_buffer reference = {0};
    metric_normalise(metric, encaje_text_from(sample->references.ptr[place]), &reference);
    double value = metric_compare(metric, encaje_text_of_buffer(&output), encaje_text_of_buffer(&reference));
    encaje_release(&reference);
    if (value > verdict->value) {
      verdict->value = value;
      best = place;
    }
  }
  encaje_release(&output);
  if (verdict->value > 0) encaje_print(&verdict->explanation, "by references[%zu]", best);
  return true;
}
