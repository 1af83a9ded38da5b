// An evaluator in C: how near an output comes to the nearest of the references, by edit distance. This file speaks with
// the host; distance.c measures.
#include "distance.h"
#include "encaje_evaluator.h"

#include <stdlib.h>

// Characters of one text. The work grows with the product of two lengths: two texts of this size take a tenth of a
// second.
enum { MOST_CHARACTERS = 8192 };
// Right answers of one sample: published sets have ten at most.
enum { MOST_REFERENCES = 32 };
// Squares of the table of one sample, all references together: seconds of CPU time would end the whole call.
#define MOST_SQUARES ((uint64_t)4 * MOST_CHARACTERS * MOST_CHARACTERS)

typedef struct {
  // Whether texts are compared in lower case.
  bool ignore_case;
} options;

const encaje_metric encaje_metrics[] = {
    {"levenshtein",
     "One minus the edit distance (Levenshtein 1966) over the length of the longer text, in Unicode scalar values; the "
     "best of the references",
     0, true, 1, true,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"ignore_case\":{\"description\":\"Compare "
     "in lower case\",\"type\":\"boolean\",\"default\":false}}}"},
    {0},
};

static void *refuse(encaje_problem *problem, const char *message, const char *param) {
  encaje_fail(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_INVALID_REQUEST, message);
  encaje_fail_param(problem, param);
  return NULL;
}

void *encaje_run_start(const encaje_metric *metric, encaje_json params, encaje_problem *problem) {
  (void)metric;
  options chosen = {0};
  if (params.kind != ENCAJE_JSON_OBJECT) return refuse(problem, "params must be a JSON object", "params");
  encaje_json name, value;
  for (size_t at = 0; encaje_json_each(params, &at, &name, &value);) {
    if (!encaje_json_is(name, "ignore_case"))
      return refuse(problem, "params has another entry than `ignore_case`", "params");
    if (value.kind != ENCAJE_JSON_BOOLEAN)
      return refuse(problem, "params.ignore_case must be true or false", "params.ignore_case");
    chosen.ignore_case = encaje_json_true(value);
  }
  options *run = encaje_allocate(1, sizeof *run);
  *run = chosen;
  return run;
}

void encaje_run_free(void *run) { free(run); }

bool encaje_run_tells_spread(const void *run) {
  (void)run;
  return true;
}

static bool too_large(encaje_problem *problem, const char *param, encaje_buffer *message) {
  encaje_fail_with(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_TOO_LARGE, message);
  encaje_fail_param(problem, param);
  return false;
}

// Whether a sample can be judged at all, and in time.
static bool check(const encaje_sample *sample, encaje_problem *problem) {
  encaje_buffer message = {0};
  if (sample->references.len == 0) {
    encaje_fail(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_INVALID_REQUEST,
                "`levenshtein` needs at least one reference");
    encaje_fail_code(problem, "references_missing");
    encaje_fail_param(problem, "references");
    return false;
  }
  if (sample->references.len > MOST_REFERENCES) {
    encaje_print(&message, "a sample has at most %d references", MOST_REFERENCES);
    return too_large(problem, "references", &message);
  }
  uint64_t output = distance_count(encaje_text_from(sample->output)), squares = 0;
  bool long_reference = false;
  for (size_t place = 0; place < sample->references.len; place++) {
    uint64_t reference = distance_count(encaje_text_from(sample->references.ptr[place]));
    long_reference |= reference > MOST_CHARACTERS;
    squares += reference * output;
  }
  if (output > MOST_CHARACTERS || long_reference) {
    encaje_print(&message, "a text has at most %d characters; shorten it", MOST_CHARACTERS);
    return too_large(problem, output > MOST_CHARACTERS ? "output" : "references", &message);
  }
  if (squares <= MOST_SQUARES) return true;
  encaje_print(&message, "so many long references take too long: send fewer, or shorter ones");
  return too_large(problem, "references", &message);
}

bool encaje_run_judge(void *run, const encaje_sample *sample, encaje_verdict *verdict, encaje_problem *problem) {
  const options *options = run;
  if (!check(sample, problem)) return false;
  size_t best = 0;
  verdict->value = -1;
  for (size_t place = 0; place < sample->references.len; place++) {
    encaje_text texts[2] = {encaje_text_from(sample->output), encaje_text_from(sample->references.ptr[place])};
    encaje_buffer lower[2] = {0};
    for (size_t side = 0; side < 2 && options->ignore_case; side++) {
      encaje_push_lower(&lower[side], texts[side]);
      texts[side] = encaje_text_of_buffer(&lower[side]);
    }
    double value = distance_similarity(texts[0], texts[1]);
    encaje_release(&lower[0]);
    encaje_release(&lower[1]);
    if (value > verdict->value) {
      verdict->value = value;
      best = place;
    }
  }
  encaje_print(&verdict->explanation, "by references[%zu]", best);
  return true;
}
