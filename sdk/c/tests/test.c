// Native tests of the SDK's parts that know nothing of the host. They print what fails and end with 1.
#include "encaje_json.h"
#include "encaje_stream.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void expect(bool holds, const char *what) {
  if (!holds) {
    printf("failed: %s\n", what);
    failures++;
  }
}

static bool is(encaje_text text, const char *want) { return encaje_text_equal(text, encaje_text_of(want)); }

static void utf8_that_is_none_counts_byte_by_byte(void) {
  encaje_text text = encaje_text_of("a\xc3\xa9\xf0\x9f\x98\x80\xff\xe2\x82\xed\xa0\x80");
  static const uint32_t want[] = {'a', 0xe9, 0x1f600, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd};
  size_t at = 0, count = 0;
  while (at < text.len) expect(encaje_next(text, &at) == want[count++], "encaje_next");
  expect(count == sizeof want / sizeof *want, "as many characters as there are");
  encaje_buffer back = {0};
  encaje_push_scalar(&back, 0xe9);
  encaje_push_scalar(&back, 0x20ac);
  encaje_push_scalar(&back, 0x1f600);
  expect(is(encaje_text_of_buffer(&back), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "encaje_push_scalar");
  encaje_release(&back);
}

static void json_is_read_and_what_is_none_is_refused(void) {
  encaje_json whole = encaje_json_parse(
      encaje_text_of(" {\"a\" : [1, -2.5e1 ,true,null,{}], \"b\\u0020c\":\"x\\n\\ud83d\\ude00\\ud800\", "
                     "\"a2\":{\"a\":7}, \"n\":1,\"n\":2} "));
  expect(whole.kind == ENCAJE_JSON_OBJECT, "an object");
  encaje_json list = encaje_json_get(whole, "a"), item;
  size_t at = 0, count = 0;
  while (encaje_json_each(list, &at, NULL, &item)) count++;
  expect(count == 5, "five items");
  double number = 0;
  at = 0;
  encaje_json_each(list, &at, NULL, &item);
  encaje_json_each(list, &at, NULL, &item);
  expect(encaje_json_number(item, &number) && number == -25, "a number");
  expect(encaje_json_is(encaje_json_get(whole, "b c"), "x\n\xf0\x9f\x98\x80\xef\xbf\xbd"), "escapes");
  uint64_t last = 0;
  expect(encaje_json_whole(encaje_json_get(whole, "n"), &last) && last == 2, "of two the last counts");
  expect(encaje_json_get(whole, "none").kind == ENCAJE_JSON_NONE, "what is not there");
  static const char *const wrong[] = {"",       "{",   "[1,]", "{\"a\":1,}", "01", "1.",    "+1",        "\"\\x\"",
                                      "\"\n\"", "tru", "1 2",  "{a:1}",      "\"", "[1 2]", "\"\\ud8\"", "-"};
  for (size_t place = 0; place < sizeof wrong / sizeof *wrong; place++) {
    expect(encaje_json_parse(encaje_text_of(wrong[place])).kind == ENCAJE_JSON_NONE, wrong[place]);
  }
  char deep[4096];
  memset(deep, '[', sizeof deep);
  expect(encaje_json_parse((encaje_text){deep, sizeof deep}).kind == ENCAJE_JSON_NONE, "too deep");
  encaje_buffer quoted = {0};
  encaje_json_quote(&quoted, encaje_text_of("a\"\\\n\xc3\xa9"));
  expect(is(encaje_text_of_buffer(&quoted), "\"a\\\"\\\\\\u000a\xc3\xa9\""), "a quoted text");
  encaje_release(&quoted);
}

static void lines_are_the_same_however_the_bytes_were_cut(void) {
  const char *stream = "{\"a\":1}\r\n\nlast";
  for (size_t size = 1; size < 16; size++) {
    encaje_lines lines = {.limit = 7};
    encaje_buffer got = {0};
    encaje_text line;
    for (size_t at = 0; at < strlen(stream); at += size) {
      size_t len = strlen(stream) - at < size ? strlen(stream) - at : size;
      expect(encaje_lines_push(&lines, (encaje_text){stream + at, len}), "a line within its limit");
      while (encaje_lines_next(&lines, false, &line)) encaje_print(&got, "%.*s|", (int)line.len, line.ptr);
    }
    while (encaje_lines_next(&lines, true, &line)) encaje_print(&got, "%.*s|", (int)line.len, line.ptr);
    expect(is(encaje_text_of_buffer(&got), "{\"a\":1}||last|"), "lines");
    encaje_lines_release(&lines);
    encaje_release(&got);
  }
  encaje_lines lines = {.limit = 3};
  expect(!encaje_lines_push(&lines, encaje_text_of("abcd")), "a line over its limit");
  encaje_lines_release(&lines);
}

static void events_are_joined_and_comments_are_none(void) {
  static const char *const lines[] = {": hello", "", "event: delta", "data: a", "data:b", "", "data: [DONE]", ""};
  encaje_event event = {0};
  encaje_buffer got = {0};
  for (size_t place = 0; place < sizeof lines / sizeof *lines; place++) {
    if (!encaje_event_push(&event, encaje_text_of(lines[place]))) continue;
    encaje_push(&got, encaje_text_of_buffer(&event.name));
    encaje_push(&got, encaje_text_of("="));
    encaje_push(&got, encaje_text_of_buffer(&event.data));
    encaje_push(&got, encaje_text_of("|"));
  }
  expect(is(encaje_text_of_buffer(&got), "delta=a\nb|=[DONE]|"), "events");
  encaje_event_release(&event);
  encaje_release(&got);
}

static void retry_after_is_seconds_or_a_date(void) {
  static const struct {
    const char *after, *ms;
    bool known;
    uint64_t want;
  } cases[] = {
      {"7", "", true, 7000},
      {" 0.0015 ", "", true, 2},
      {"7", "20.5", true, 21},
      {"1.1", "", true, 1100},
      {"Sun, 06 Nov 1994 08:49:47 GMT", "", true, 10000},
      {"Sat, 05 Nov 1994 08:49:37 GMT", "", true, 0},
      {"Thu, 29 Feb 1996 00:00:00 GMT", "", true, 41440223000},
      {"soon", "", false, 0},
      {"-1", "", false, 0},
      {"1.", "", false, 0},
      {"", "", false, 0},
      {"9999999999999", "", false, 0},
  };
  for (size_t place = 0; place < sizeof cases / sizeof *cases; place++) {
    uint64_t got = 0;
    bool known =
        encaje_retry_after(encaje_text_of(cases[place].after), encaje_text_of(cases[place].ms), 784111777000000, &got);
    expect(known == cases[place].known && got == cases[place].want, cases[place].after);
  }
}

int main(void) {
  utf8_that_is_none_counts_byte_by_byte();
  json_is_read_and_what_is_none_is_refused();
  lines_are_the_same_however_the_bytes_were_cut();
  events_are_joined_and_comments_are_none();
  retry_after_is_seconds_or_a_date();
  puts(failures == 0 ? "all tests passed" : "some tests failed");
  return failures != 0;
}
