// The edit distance of Levenshtein (1966) over Unicode scalar values: the least number of characters that are put in,
// taken out or replaced to make one text of the other. It knows nothing of the host.
#ifndef DISTANCE_H
#define DISTANCE_H

#include "encaje_text.h"

// The scalar values of a text; `*count` is how many. The caller frees them.
uint32_t *distance_scalars(encaje_text text, size_t *count);

// How many of them there are.
size_t distance_count(encaje_text text);

// The distance; it takes time with the product of the lengths and memory with the shorter one.
size_t distance_between(encaje_text left, encaje_text right);

// 1 for equal texts, 0 for texts that have nothing in common: one minus the distance over the longer length.
double distance_similarity(encaje_text left, encaje_text right);

#endif
