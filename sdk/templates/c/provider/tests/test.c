// Native tests of the answer. They print what fails and end with 1.
#include "../echo.h"

#include <stdio.h>
#include <string.h>

int main(void) {
  const char *text = " You said:\n héllo  wörld ", *word;
  const char *want[] = {"You", "said:", "héllo", "wörld"};
  size_t at = 0, len, count = 0;
  int failures = 0;
  while (echo_next(text, strlen(text), &at, &word, &len)) {
    if (count >= 4 || len != strlen(want[count]) || memcmp(word, want[count], len) != 0) {
      printf("failed: word %zu is %.*s\n", count, (int)len, word);
      failures++;
    }
    count++;
  }
  if (count != 4 || echo_count(text, strlen(text)) != 4 || echo_count(" \n", 2) != 0) {
    printf("failed: %zu words\n", count);
    failures++;
  }
  puts(failures == 0 ? "all tests passed" : "some tests failed");
  return failures != 0;
}
