// Native tests of the metric. They print what fails and end with 1.
#include "../words.h"

#include <stdio.h>
#include <string.h>

int main(void) {
  static const struct {
    const char *text;
    size_t want;
  } cases[] = {{"", 0}, {" \n", 0}, {"a", 1}, {" a\nb\tc ", 3}, {"héllo wörld", 2}};
  int failures = 0;
  for (size_t place = 0; place < sizeof cases / sizeof *cases; place++) {
    size_t got = words_count(cases[place].text, strlen(cases[place].text));
    if (got != cases[place].want) {
      printf("failed: \"%s\" has %zu words\n", cases[place].text, got);
      failures++;
    }
  }
  puts(failures == 0 ? "all tests passed" : "some tests failed");
  return failures != 0;
}
