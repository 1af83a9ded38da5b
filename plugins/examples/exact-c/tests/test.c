// Native tests of the metrics. They print what fails and end with 1.
#include "metric.h"
#include <locale.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

static void expect(bool holds, const char *what) {
  if (!holds) {
    printf("failed: %s\n", what);
    failures++;
  }
}

static double value(metric_kind kind, const char *params, const char *output, const char *reference) {
  metric metric;
  const char *param;
  const char *wrong = metric_read(&metric, kind, encaje_json_parse(encaje_text_of(params)), &param);
  if (wrong != NULL) return -1;
  if (kind == LENGTH) return metric_length(&metric, encaje_text_of(output));
  encaje_buffer a = {0}, b = {0};
  metric_normalise(&metric, encaje_text_of(output), &a);
  metric_normalise(&metric, encaje_text_of(reference), &b);
  double result = metric_compare(&metric, encaje_text_of_buffer(&a), encaje_text_of_buffer(&b));
  encaje_release(&a);
  encaje_release(&b);
  return result;
}

static void normal(const char *params, const char *text, const char *want) {
  metric metric;
  const char *param;
  encaje_buffer got = {0};
  metric_read(&metric, EXACT_MATCH, encaje_json_parse(encaje_text_of(params)), &param);
  metric_normalise(&metric, encaje_text_of(text), &got);
  expect(encaje_text_equal(encaje_text_of_buffer(&got), encaje_text_of(want)), text);
  encaje_release(&got);
}

static void all_steps_are_squads(void) {
  normal("{}", "The  Eiffel-Tower, a tower!", "eiffeltower tower");
  normal("{}", "An\tapple\n", "apple");
  normal("{}", "«The» anthem", "« » anthem");
  normal("{}", "ÉCOLE the_end", "école theend");
  normal("{}", "a an the", "");
  normal("{}", "theatre of a.n", "theatre of");
  normal("{}", "ΟΔΟΣ ΣΑΣ Σ", "οδος σας σ");
  normal("{}", "İstanbul", "i\xcc\x87stanbul");
  normal("{}", "x\xc2\xa0 y\xe2\x80\x83z", "x y z");
  const char *text = " The  cat, A. ";
  normal("{\"normalise\":[]}", text, text);
  normal("{\"normalise\":[\"case\"]}", text, " the  cat, a. ");
  normal("{\"normalise\":[\"punctuation\"]}", text, " The  cat A ");
  normal("{\"normalise\":[\"articles\"]}", text, "    cat,  . ");
  normal("{\"normalise\":[\"whitespace\"]}", text, "The cat, A.");
}

static void the_three_metrics(void) {
  static const struct {
    metric_kind kind;
    const char *params, *output, *reference;
    double want;
  } cases[] = {
      {EXACT_MATCH, "{}", "The cat.", "cat", 1},
      {EXACT_MATCH, "{}", "The cat", "cats", 0},
      {EXACT_MATCH, "{\"normalise\":[]}", "Cat", "cat", 0},
      {TOKEN_F1, "{}", "the red big cat", "big cat on mat", 4.0 / 7},
      {TOKEN_F1, "{}", "x x y", "x y y", 4.0 / 6},
      {TOKEN_F1, "{}", "the", "a", 1},
      {TOKEN_F1, "{}", "", "word", 0},
      {LENGTH, "{}", "né e", "", 4},
      {LENGTH, "{\"unit\":\"bytes\"}", "né e", "", 5},
      {LENGTH, "{\"unit\":\"words\"}", "né e", "", 2},
      {LENGTH, "{\"unit\":\"words\",\"min\":2,\"max\":3}", "a", "", 0},
      {LENGTH, "{\"unit\":\"words\",\"min\":2,\"max\":3}", "a b c", "", 1},
      {LENGTH, "{\"unit\":\"words\",\"min\":2,\"max\":3}", "a b c d", "", 0},
  };
  for (size_t place = 0; place < sizeof cases / sizeof *cases; place++) {
    double got = value(cases[place].kind, cases[place].params, cases[place].output, cases[place].reference);
    expect(fabs(got - cases[place].want) < 1e-12, cases[place].output);
  }
}

static void wrong_parameters_are_told(void) {
  static const struct {
    metric_kind kind;
    const char *params;
  } cases[] = {
      {EXACT_MATCH, "{\"normalise\":[\"accents\"]}"},
      {EXACT_MATCH, "{\"normalise\":null}"},
      {TOKEN_F1, "{\"case\":true}"},
      {LENGTH, "{\"min\":3,\"max\":2}"},
      {LENGTH, "{\"unit\":\"tokens\"}"},
      {LENGTH, "{\"unit\":null}"},
      {LENGTH, "{\"min\":-1}"},
      {LENGTH, "{\"min\":1.0}"},
      {LENGTH, "[]x"},
      {LENGTH, "{}x"},
      {LENGTH, "null"},
  };
  for (size_t place = 0; place < sizeof cases / sizeof *cases; place++) {
    expect(value(cases[place].kind, cases[place].params, "x", "x") == -1, cases[place].params);
  }
}

int main(void) {
  // Elsewhere than in WebAssembly, what a letter is depends on where one is.
  setlocale(LC_CTYPE, "C.UTF-8");
  all_steps_are_squads();
  the_three_metrics();
  wrong_parameters_are_told();
  puts(failures == 0 ? "all tests passed" : "some tests failed");
  return failures != 0;
}
