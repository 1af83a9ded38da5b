#include "echo.h"

static bool is_space(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

bool echo_next(const char *text, size_t len, size_t *at, const char **word, size_t *word_len) {
  size_t start = *at;
  while (start < len && is_space(text[start])) start++;
  size_t end = start;
  while (end < len && !is_space(text[end])) end++;
  *at = end;
  *word = text + start;
  *word_len = end - start;
  return end > start;
}

size_t echo_count(const char *text, size_t len) {
  const char *word;
  size_t at = 0, word_len, count = 0;
  while (echo_next(text, len, &at, &word, &word_len)) count++;
  return count;
}
