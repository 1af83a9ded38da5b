// Walks over the words of a text; words are what ASCII white space parts. It knows nothing of the host.
#ifndef ECHO_H
#define ECHO_H

#include <stdbool.h>
#include <stddef.h>

// The next word from `*at` on, which moves behind it; false where there is none.
bool echo_next(const char *text, size_t len, size_t *at, const char **word, size_t *word_len);

// How many words there are; a word is a token here.
size_t echo_count(const char *text, size_t len);

#endif
