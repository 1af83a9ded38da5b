#include "encaje_stream.h"

#include <string.h>

bool encaje_lines_push(encaje_lines *lines, encaje_text piece) {
  // What was read makes room first.
  lines->held.len -= lines->read;
  if (lines->read != 0) memmove(lines->held.ptr, lines->held.ptr + lines->read, lines->held.len);
  lines->read = 0;
  encaje_push(&lines->held, piece);
  const char *at = lines->held.ptr, *end = at + lines->held.len;
  while (at < end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t len = (size_t)((stop == NULL ? end : stop) - at);
    // The \r of an end is none of the line.
    if (len > 0 && at[len - 1] == '\r') len--;
    if (len > lines->limit) return false;
    if (stop == NULL) break;
    at = stop + 1;
  }
  return true;
}

bool encaje_lines_next(encaje_lines *lines, bool at_end, encaje_text *line) {
  size_t left = lines->held.len - lines->read;
  if (left == 0) return false;
  const char *start = lines->held.ptr + lines->read;
  const char *stop = memchr(start, '\n', left);
  if (stop == NULL && !at_end) return false;
  size_t len = stop == NULL ? left : (size_t)(stop - start);
  lines->read += stop == NULL ? len : len + 1;
  if (len > 0 && start[len - 1] == '\r') len--;
  *line = (encaje_text){start, len};
  return true;
}

void encaje_lines_release(encaje_lines *lines) {
  encaje_release(&lines->held);
  lines->read = 0;
}

bool encaje_event_push(encaje_event *event, encaje_text line) {
  if (event->complete) encaje_event_release(event);
  if (line.len == 0) {
    event->complete = event->has_data;
    if (!event->complete) encaje_event_release(event);
    return event->complete;
  }
  const char *colon = memchr(line.ptr, ':', line.len);
  encaje_text field = {line.ptr, colon == NULL ? line.len : (size_t)(colon - line.ptr)};
  encaje_text value = {colon == NULL ? line.ptr + line.len : colon + 1, colon == NULL ? 0 : line.len - field.len - 1};
  if (value.len > 0 && value.ptr[0] == ' ') value = (encaje_text){value.ptr + 1, value.len - 1};
  if (encaje_text_equal(field, encaje_text_of("data"))) {
    if (event->has_data) encaje_push(&event->data, encaje_text_of("\n"));
    encaje_push(&event->data, value);
    event->has_data = true;
  } else if (encaje_text_equal(field, encaje_text_of("event"))) {
    event->name.len = 0;
    encaje_push(&event->name, value);
  }
  return false;
}

void encaje_event_release(encaje_event *event) {
  encaje_release(&event->name);
  encaje_release(&event->data);
  event->has_data = event->complete = false;
}

static encaje_text trim(encaje_text text) {
  while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) text = (encaje_text){text.ptr + 1, text.len - 1};
  while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) text.len--;
  return text;
}

// Digits from `at` on; -1 where there is none of the `count` that must be there.
static int64_t digits(encaje_text text, size_t at, size_t count) {
  if (at > text.len || text.len - at < count) return -1;
  int64_t number = 0;
  for (size_t place = at; place < at + count; place++) {
    if (text.ptr[place] < '0' || text.ptr[place] > '9') return -1;
    number = number * 10 + (text.ptr[place] - '0');
  }
  return number;
}

// A number with or without decimals, times `scale`, rounded up so that nobody comes early. More than 12 digits on a
// side are centuries, or noise.
static bool decimal(encaje_text text, uint64_t scale, uint64_t *to) {
  const char *point = text.len == 0 ? NULL : memchr(text.ptr, '.', text.len);
  size_t whole_len = point == NULL ? text.len : (size_t)(point - text.ptr);
  size_t fraction_len = point == NULL ? 0 : text.len - whole_len - 1;
  if (whole_len == 0 || whole_len > 12 || fraction_len > 12 || (point != NULL && fraction_len == 0)) return false;
  int64_t whole = digits(text, 0, whole_len), fraction = digits(text, whole_len + 1, fraction_len);
  if (fraction_len == 0) fraction = 0;
  if (whole < 0 || fraction < 0) return false;
  uint64_t unit = 1;
  for (size_t place = 0; place < fraction_len; place++) unit *= 10;
  *to = (uint64_t)whole * scale + ((uint64_t)fraction * scale + unit - 1) / unit;
  return true;
}

// `Sun, 06 Nov 1994 08:49:37 GMT`, in seconds since 1970; -1 for anything else.
static int64_t date(encaje_text text) {
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.len != 29 || memcmp(text.ptr + 25, " GMT", 4) != 0 || text.ptr[19] != ':' || text.ptr[22] != ':') return -1;
  int64_t day = digits(text, 5, 2), year = digits(text, 12, 4), month = -1;
  int64_t hour = digits(text, 17, 2), minute = digits(text, 20, 2), second = digits(text, 23, 2);
  for (int64_t place = 0; place < 12; place++) {
    if (memcmp(text.ptr + 8, months + place * 3, 3) == 0) month = place + 1;
  }
  if (day < 1 || day > 31 || month < 1 || year < 1970 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 60) {
    return -1;
  }
  // Days since March of the year 0 (Hinnant, "chrono-compatible low-level date algorithms").
  int64_t of = month > 2 ? year : year - 1, from_march = (month + 9) % 12;
  int64_t days = of * 365 + of / 4 - of / 100 + of / 400 + (153 * from_march + 2) / 5 + day - 1 - 719468;
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

bool encaje_retry_after(encaje_text seconds_or_date, encaje_text milliseconds, uint64_t now_us, uint64_t *to) {
  encaje_text text = trim(seconds_or_date);
  if (decimal(trim(milliseconds), 1, to) || decimal(text, 1000, to)) return true;
  int64_t at = date(text);
  if (at < 0) return false;
  uint64_t at_ms = (uint64_t)at * 1000, now_ms = now_us / 1000;
  *to = at_ms > now_ms ? at_ms - now_ms : 0;
  return true;
}
