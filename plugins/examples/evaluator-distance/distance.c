#include "distance.h"

#include <stdlib.h>

size_t distance_count(encaje_text text) {
  size_t count = 0;
  for (size_t at = 0; at < text.len; count++) encaje_next(text, &at);
  return count;
}

uint32_t *distance_scalars(encaje_text text, size_t *count) {
  *count = distance_count(text);
  uint32_t *scalars = encaje_allocate(*count, sizeof *scalars);
  size_t at = 0;
  for (size_t place = 0; place < *count; place++) scalars[place] = encaje_next(text, &at);
  return scalars;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// One row of the table at a time (Wagner and Fischer 1974): row[j] is the distance of what was read of `down` from the
// first j of `across`.
static size_t walk(const uint32_t *down, size_t down_count, const uint32_t *across, size_t across_count) {
  size_t *row = encaje_allocate(across_count + 1, sizeof *row);
  for (size_t j = 0; j <= across_count; j++) row[j] = j;
  for (size_t i = 0; i < down_count; i++) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < across_count; j++) {
      size_t replaced = diagonal + (down[i] != across[j]);
      diagonal = row[j + 1];
      row[j + 1] = least(replaced, least(row[j], diagonal) + 1);
    }
  }
  size_t distance = row[across_count];
  free(row);
  return distance;
}

size_t distance_between(encaje_text left, encaje_text right) {
  size_t left_count, right_count, start = 0;
  uint32_t *a = distance_scalars(left, &left_count), *b = distance_scalars(right, &right_count);
  // What both begin and end with costs nothing.
  while (start < left_count && start < right_count && a[start] == b[start]) start++;
  size_t left_end = left_count, right_end = right_count;
  while (left_end > start && right_end > start && a[left_end - 1] == b[right_end - 1]) {
    left_end--;
    right_end--;
  }
  size_t distance = left_end < right_end ? walk(b + start, right_end - start, a + start, left_end - start)
                                         : walk(a + start, left_end - start, b + start, right_end - start);
  free(a);
  free(b);
  return distance;
}

double distance_similarity(encaje_text left, encaje_text right) {
  size_t left_count = distance_count(left), right_count = distance_count(right);
  size_t longer = left_count > right_count ? left_count : right_count;
  if (longer == 0) return 1;
  return 1 - (double)distance_between(left, right) / (double)longer;
}
