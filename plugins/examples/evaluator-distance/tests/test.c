// Native tests of the distance. They print what fails and end with 1.
#include "distance.h"

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

static void known_distances(void) {
  static const struct {
    const char *left, *right;
    size_t want;
  } cases[] = {
      {"", "", 0},     {"", "abc", 3},         {"kitten", "sitting", 3}, {"Saturday", "Sunday", 3},     {"né", "ne", 1},
      {"😀a", "a", 1}, {"abcdef", "azced", 3}, {"same", "same", 0},      {"intention", "execution", 5},
  };
  for (size_t place = 0; place < sizeof cases / sizeof *cases; place++) {
    encaje_text left = encaje_text_of(cases[place].left), right = encaje_text_of(cases[place].right);
    expect(distance_between(left, right) == cases[place].want, cases[place].left);
    expect(distance_between(right, left) == cases[place].want, cases[place].right);
  }
  expect(fabs(distance_similarity(encaje_text_of("kitten"), encaje_text_of("sitting")) - 4.0 / 7) < 1e-12,
         "similarity");
  expect(distance_similarity(encaje_text_of(""), encaje_text_of("")) == 1, "empty texts are equal");
}

// The definition itself, without a table.
static size_t by_definition(const char *left, size_t left_len, const char *right, size_t right_len) {
  if (left_len == 0 || right_len == 0) return left_len + right_len;
  size_t replaced = by_definition(left + 1, left_len - 1, right + 1, right_len - 1) + (*left != *right);
  size_t removed = by_definition(left + 1, left_len - 1, right, right_len) + 1;
  size_t added = by_definition(left, left_len, right + 1, right_len - 1) + 1;
  size_t best = replaced < removed ? replaced : removed;
  return best < added ? best : added;
}

static void it_agrees_with_the_definition(void) {
  uint32_t state = 1;
  for (int round = 0; round < 2000; round++) {
    char texts[2][6];
    size_t lens[2];
    for (int side = 0; side < 2; side++) {
      state = state * 1664525 + 1013904223;
      lens[side] = (state >> 24) % 6;
      for (size_t place = 0; place < lens[side]; place++) {
        state = state * 1664525 + 1013904223;
        texts[side][place] = (char)('a' + (state >> 24) % 3);
      }
    }
    size_t want = by_definition(texts[0], lens[0], texts[1], lens[1]);
    expect(distance_between((encaje_text){texts[0], lens[0]}, (encaje_text){texts[1], lens[1]}) == want,
           "the definition");
  }
}

int main(void) {
  known_distances();
  it_agrees_with_the_definition();
  puts(failures == 0 ? "all tests passed" : "some tests failed");
  return failures != 0;
}
