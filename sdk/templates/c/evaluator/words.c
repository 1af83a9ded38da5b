#include "words.h"

#include <stdbool.h>

size_t words_count(const char *text, size_t len) {
  size_t count = 0;
  bool in_word = false;
  for (size_t at = 0; at < len; at++) {
    bool space = text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r');
    if (!space && !in_word) count++;
    in_word = !space;
  }
  return count;
}
