#include "encaje_evaluator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The resource that the host pushes samples into.
struct exports_encaje_evaluator_evaluator_run_t {
  const encaje_metric *metric;
  void *state;
  uint64_t judged, failed;
  double mean, squares;
};

__attribute__((weak)) bool exports_encaje_common_lifecycle_check(plugin_list_string_t *ret, encaje_problem *err) {
  (void)err;
  ret->ptr = encaje_allocate(1, sizeof *ret->ptr);
  ret->len = 1;
  ret->ptr[0] = encaje_string_of("evaluate");
  return true;
}

bool exports_encaje_evaluator_evaluator_metrics(exports_encaje_evaluator_evaluator_list_metric_info_t *ret,
                                                encaje_problem *err) {
  (void)err;
  size_t count = 0;
  while (encaje_metrics[count].name != NULL) count++;
  ret->len = count;
  ret->ptr = encaje_allocate(count, sizeof *ret->ptr);
  for (size_t place = 0; place < count; place++) {
    const encaje_metric *metric = &encaje_metrics[place];
    exports_encaje_evaluator_evaluator_metric_info_t *info = &ret->ptr[place];
    info->name = encaje_string_of(metric->name);
    info->description = encaje_string_of(metric->description);
    info->lowest.is_some = true;
    info->lowest.val = metric->lowest;
    info->highest.is_some = metric->has_highest;
    info->highest.val = metric->highest;
    info->higher_is_better = info->deterministic = true;
    if (metric->needs_references) {
      info->needs.ptr = encaje_allocate(1, sizeof *info->needs.ptr);
      info->needs.ptr[0] = EXPORTS_ENCAJE_EVALUATOR_EVALUATOR_NEED_REFERENCES;
      info->needs.len = 1;
    }
    info->params = encaje_string_of(metric->params);
  }
  return true;
}

// `there is no metric …; there are …`
static void no_such_metric(encaje_text name, encaje_problem *err) {
  encaje_buffer message = {0};
  encaje_print(&message, "there is no metric `%.*s`; there are", (int)(name.len < 256 ? name.len : 256), name.ptr);
  for (size_t place = 0; encaje_metrics[place].name != NULL; place++) {
    encaje_print(&message, "%s `%s`", place == 0 ? "" : ",", encaje_metrics[place].name);
  }
  encaje_fail_with(err, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_NOT_FOUND, &message);
  encaje_fail_param(err, "metric");
}

bool exports_encaje_evaluator_evaluator_start(plugin_string_t *metric, encaje_common_errors_json_t *params,
                                              exports_encaje_evaluator_evaluator_own_run_t *ret, encaje_problem *err) {
  const encaje_metric *found = encaje_metrics;
  while (found->name != NULL && !encaje_text_equal(encaje_text_of(found->name), encaje_text_from(*metric))) found++;
  void *state = NULL;
  if (found->name == NULL) {
    no_such_metric(encaje_text_from(*metric), err);
  } else {
    encaje_text text = encaje_text_from(*params), word;
    size_t at = 0;
    // An empty text is an object without entries.
    bool empty = !encaje_next_word(text, &at, &word);
    encaje_json json = encaje_json_parse(empty ? encaje_text_of("{}") : text);
    if (json.kind != ENCAJE_JSON_OBJECT) json.kind = ENCAJE_JSON_NONE;
    state = encaje_run_start(found, json, err);
  }
  plugin_string_free(metric);
  plugin_string_free(params);
  if (state == NULL) return false;
  exports_encaje_evaluator_evaluator_run_t *run = encaje_allocate(1, sizeof *run);
  run->metric = found;
  run->state = state;
  *ret = exports_encaje_evaluator_evaluator_run_new(run);
  return true;
}

void exports_encaje_evaluator_evaluator_run_destructor(exports_encaje_evaluator_evaluator_run_t *run) {
  encaje_run_free(run->state);
  free(run);
}

static void judge(exports_encaje_evaluator_evaluator_run_t *run, const encaje_sample *sample,
                  exports_encaje_evaluator_evaluator_sample_score_t *to) {
  to->id = encaje_string(encaje_text_from(sample->id));
  encaje_verdict verdict = {0};
  if (!encaje_run_judge(run->state, sample, &verdict, &to->outcome.val.err)) {
    to->outcome.is_err = true;
    run->failed++;
    return;
  }
  encaje_common_telemetry_score_t *score = &to->outcome.val.ok;
  score->name = encaje_string_of(run->metric->name);
  score->value.is_some = true;
  score->value.val = verdict.value;
  if (verdict.explanation.len != 0) {
    score->explanation.is_some = true;
    score->explanation.val = encaje_string_from(&verdict.explanation);
  }
  run->judged++;
  double before = verdict.value - run->mean;
  run->mean += before / (double)run->judged;
  run->squares += before * (verdict.value - run->mean);
}

bool exports_encaje_evaluator_evaluator_method_run_push(exports_encaje_evaluator_evaluator_borrow_run_t run,
                                                        exports_encaje_evaluator_evaluator_list_sample_t *samples,
                                                        exports_encaje_evaluator_evaluator_list_sample_score_t *ret,
                                                        encaje_problem *err) {
  (void)err;
  ret->len = samples->len;
  ret->ptr = samples->len == 0 ? NULL : encaje_allocate(samples->len, sizeof *ret->ptr);
  for (size_t place = 0; place < samples->len; place++) judge(run, &samples->ptr[place], &ret->ptr[place]);
  exports_encaje_evaluator_evaluator_list_sample_free(samples);
  return true;
}

static void explain(encaje_common_telemetry_score_t *score, const char *what, uint64_t count) {
  encaje_buffer text = {0};
  encaje_print(&text, "%s of %llu samples", what, (unsigned long long)count);
  score->explanation.is_some = true;
  score->explanation.val = encaje_string_from(&text);
}

static void number(encaje_common_errors_tuple2_string_json_t *entry, const char *name, uint64_t value) {
  encaje_buffer text = {0};
  encaje_print(&text, "%llu", (unsigned long long)value);
  entry->f0 = encaje_string_of(name);
  entry->f1 = encaje_string_from(&text);
}

bool exports_encaje_evaluator_evaluator_method_run_finish(exports_encaje_evaluator_evaluator_borrow_run_t run,
                                                          exports_encaje_evaluator_evaluator_corpus_score_t *ret,
                                                          encaje_problem *err) {
  (void)err;
  memset(ret, 0, sizeof *ret);
  bool spread = run->judged != 0 && encaje_run_tells_spread(run->state);
  ret->scores.len = spread ? 2 : 1;
  ret->scores.ptr = encaje_allocate(ret->scores.len, sizeof *ret->scores.ptr);
  encaje_common_telemetry_score_t *scores = ret->scores.ptr;
  scores[0].name = encaje_string_of(run->metric->name);
  scores[0].value.is_some = run->judged != 0;
  scores[0].value.val = run->mean;
  if (run->judged != 0) {
    explain(&scores[0], "mean", run->judged);
  } else {
    scores[0].explanation.is_some = true;
    scores[0].explanation.val = encaje_string_of("no sample could be judged");
  }
  if (spread) {
    encaje_buffer name = {0};
    encaje_print(&name, "%s_stddev", run->metric->name);
    scores[1].name = encaje_string_from(&name);
    scores[1].value.is_some = true;
    scores[1].value.val = sqrt(run->squares / (double)run->judged);
    explain(&scores[1], "standard deviation", run->judged);
  }
  ret->extra.len = 2;
  ret->extra.ptr = encaje_allocate(2, sizeof *ret->extra.ptr);
  number(&ret->extra.ptr[0], "judged", run->judged);
  number(&ret->extra.ptr[1], "failed", run->failed);
  return true;
}
