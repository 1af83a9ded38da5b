// An evaluator with one metric, `words_in_range`: whether an answer has as many words as it should. Put your metric
// into words.c. It asks no model and needs no references.
#include "encaje_evaluator.h"
#include "words.h"

#include <stdlib.h>

// Bytes of an answer that is judged: far more than a model says, little beside a guest's memory.
enum { MOST_OUTPUT_BYTES = 1 << 20 };

// What `params` may say; people read it in the list of metrics.
#define PARAMS                                                                                                         \
  "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"                                               \
  "\"min\":{\"type\":\"integer\",\"minimum\":0,\"default\":1},\"max\":{\"type\":\"integer\",\"minimum\":0,"            \
  "\"default\":200}}}"

const encaje_metric encaje_metrics[] = {
    {"words_in_range", "1 where the answer has `min` to `max` words, else 0; words are what spaces part", 0, true, 1,
     false, PARAMS},
    {0},
};

// One run.
typedef struct {
  uint64_t min, max;
} range;

static void *refuse(range *run, encaje_problem *problem, const char *message, const char *param) {
  free(run);
  encaje_fail(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_INVALID_REQUEST, message);
  encaje_fail_param(problem, param);
  return NULL;
}

void *encaje_run_start(const encaje_metric *metric, encaje_json params, encaje_problem *problem) {
  (void)metric;
  range *run = encaje_allocate(1, sizeof *run);
  *run = (range){.min = 1, .max = 200};
  if (params.kind != ENCAJE_JSON_OBJECT) return refuse(run, problem, "params must be a JSON object", "params");
  encaje_json name, value;
  for (size_t at = 0; encaje_json_each(params, &at, &name, &value);) {
    bool is_min = encaje_json_is(name, "min");
    if (!is_min && !encaje_json_is(name, "max")) {
      return refuse(run, problem, "params has another entry than `min` and `max`", "params");
    }
    if (!encaje_json_whole(value, is_min ? &run->min : &run->max)) {
      return refuse(run, problem, "min and max must be whole numbers, 0 or more", is_min ? "params.min" : "params.max");
    }
  }
  if (run->min > run->max) {
    return refuse(run, problem, "params.min is more than the maximum: no answer could pass", "params.min");
  }
  return run;
}

bool encaje_run_judge(void *run, const encaje_sample *sample, encaje_verdict *verdict, encaje_problem *problem) {
  const range *range = run;
  if (sample->output.len > MOST_OUTPUT_BYTES) {
    encaje_buffer message = {0};
    encaje_print(&message, "`output` has more than %d bytes; shorten it", MOST_OUTPUT_BYTES);
    encaje_fail_with(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_TOO_LARGE, &message);
    encaje_fail_param(problem, "output");
    return false;
  }
  encaje_text output = encaje_text_from(sample->output);
  size_t count = words_count(output.ptr, output.len);
  verdict->value = count >= range->min && count <= range->max ? 1 : 0;
  encaje_print(&verdict->explanation, "%zu words; %llu to %llu are wanted", count, (unsigned long long)range->min,
               (unsigned long long)range->max);
  return true;
}

bool encaje_run_tells_spread(const void *run) {
  (void)run;
  return false;
}

void encaje_run_free(void *run) { free(run); }
