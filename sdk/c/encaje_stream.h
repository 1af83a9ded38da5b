// Streams of an upstream: lines, server-sent events, and how long to stay away. It knows no transport.
#ifndef ENCAJE_STREAM_H
#define ENCAJE_STREAM_H

#include "encaje_text.h"

// Collects bytes until a line is complete. Set `limit`, the bytes that a line may have, and leave the rest 0.
typedef struct {
  size_t limit;
  encaje_buffer held;
  size_t read;
} encaje_lines;

// More bytes. False where a line grew over the limit: the stream should be given up.
bool encaje_lines_push(encaje_lines *lines, encaje_text piece);
// The next complete line, without its end (\n or \r\n); valid until the next push. `at_end` gives the last one, which
// may have no end. False where there is none.
bool encaje_lines_next(encaje_lines *lines, bool at_end, encaje_text *line);
void encaje_lines_release(encaje_lines *lines);

// A server-sent event that is being put together; starts as {0}.
typedef struct {
  encaje_buffer name, data;
  bool has_data, complete;
} encaje_event;

// One line of the stream; true where it completes the event, which then holds until the next line.
bool encaje_event_push(encaje_event *event, encaje_text line);
void encaje_event_release(encaje_event *event);

// Milliseconds to wait, from the values of `retry-after` (seconds, or a date as RFC 9110 prefers it) and
// `retry-after-ms` (the finer one, which wins); empty where a header is absent. `now_us` is for dates. False for what
// cannot be read.
bool encaje_retry_after(encaje_text seconds_or_date, encaje_text milliseconds, uint64_t now_us, uint64_t *to);

#endif
