// How many words a text has; words are what ASCII white space parts. It knows nothing of the host.
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

size_t words_count(const char *text, size_t len);

#endif
