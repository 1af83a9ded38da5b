#include "encaje_json.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_LEVELS = 64 };

static size_t skip(encaje_text text, size_t at) {
  while (at < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '\t' || text.ptr[at] == '\n' || text.ptr[at] == '\r'))
    at++;
  return at;
}

static bool is_digit(encaje_text text, size_t at) {
  return at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9';
}

static bool is_at(encaje_text text, size_t at, char byte) { return at < text.len && text.ptr[at] == byte; }

static int hex(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  byte |= 0x20;
  return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// The place behind a string that begins at `at`; 0 where it is none.
static size_t end_of_string(encaje_text text, size_t at) {
  for (at++; at < text.len;) {
    unsigned char byte = (unsigned char)text.ptr[at++];
    if (byte == '"') return at;
    if (byte < 0x20) return 0;
    if (byte != '\\') continue;
    if (at >= text.len) return 0;
    char escape = text.ptr[at++];
    if (escape != 'u') {
      if (escape == 0 || strchr("\"\\/bfnrt", escape) == NULL) return 0;
      continue;
    }
    if (text.len - at < 4) return 0;
    for (int place = 0; place < 4; place++) {
      if (hex(text.ptr[at++]) < 0) return 0;
    }
  }
  return 0;
}

static size_t end_of_number(encaje_text text, size_t at) {
  if (is_at(text, at, '-')) at++;
  if (!is_digit(text, at)) return 0;
  if (is_at(text, at, '0')) {
    at++;
  } else {
    while (is_digit(text, at)) at++;
  }
  if (is_at(text, at, '.')) {
    if (!is_digit(text, ++at)) return 0;
    while (is_digit(text, at)) at++;
  }
  if (is_at(text, at, 'e') || is_at(text, at, 'E')) {
    at++;
    if (is_at(text, at, '+') || is_at(text, at, '-')) at++;
    if (!is_digit(text, at)) return 0;
    while (is_digit(text, at)) at++;
  }
  return at;
}

static size_t end_of_value(encaje_text text, size_t at, int level, encaje_json_kind *kind);

// Array or object, which begins at `at`.
static size_t end_of_list(encaje_text text, size_t at, int level, bool has_names) {
  char close = has_names ? '}' : ']';
  encaje_json_kind ignored;
  if (level >= MOST_LEVELS) return 0;
  at = skip(text, at + 1);
  if (is_at(text, at, close)) return at + 1;
  for (;;) {
    if (has_names) {
      if (!is_at(text, at, '"')) return 0;
      at = end_of_string(text, at);
      if (at == 0) return 0;
      at = skip(text, at);
      if (!is_at(text, at, ':')) return 0;
      at = skip(text, at + 1);
    }
    at = end_of_value(text, at, level + 1, &ignored);
    if (at == 0) return 0;
    at = skip(text, at);
    if (is_at(text, at, close)) return at + 1;
    if (!is_at(text, at, ',')) return 0;
    at = skip(text, at + 1);
  }
}

static size_t end_of_word(encaje_text text, size_t at, const char *word) {
  size_t len = strlen(word);
  return text.len - at >= len && memcmp(text.ptr + at, word, len) == 0 ? at + len : 0;
}

// The place behind the value that begins at `at`; 0 where there is none.
static size_t end_of_value(encaje_text text, size_t at, int level, encaje_json_kind *kind) {
  if (at >= text.len) return 0;
  switch (text.ptr[at]) {
  case '{':
    *kind = ENCAJE_JSON_OBJECT;
    return end_of_list(text, at, level, true);
  case '[':
    *kind = ENCAJE_JSON_ARRAY;
    return end_of_list(text, at, level, false);
  case '"':
    *kind = ENCAJE_JSON_STRING;
    return end_of_string(text, at);
  case 't':
    *kind = ENCAJE_JSON_BOOLEAN;
    return end_of_word(text, at, "true");
  case 'f':
    *kind = ENCAJE_JSON_BOOLEAN;
    return end_of_word(text, at, "false");
  case 'n':
    *kind = ENCAJE_JSON_NULL;
    return end_of_word(text, at, "null");
  default:
    *kind = ENCAJE_JSON_NUMBER;
    return end_of_number(text, at);
  }
}

encaje_json encaje_json_parse(encaje_text text) {
  encaje_json value = {ENCAJE_JSON_NONE, {NULL, 0}};
  size_t start = skip(text, 0);
  encaje_json_kind kind = ENCAJE_JSON_NONE;
  size_t end = end_of_value(text, start, 0, &kind);
  if (end == 0 || skip(text, end) != text.len) return value;
  return (encaje_json){kind, {text.ptr + start, end - start}};
}

bool encaje_json_each(encaje_json whole, size_t *at, encaje_json *name, encaje_json *value) {
  if (whole.kind != ENCAJE_JSON_ARRAY && whole.kind != ENCAJE_JSON_OBJECT) return false;
  encaje_text text = whole.text;
  // The text was checked, so that what is left between values are commas and white space.
  size_t place = skip(text, *at == 0 ? 1 : *at);
  if (is_at(text, place, ',')) place = skip(text, place + 1);
  if (place + 1 >= text.len) return false;
  if (whole.kind == ENCAJE_JSON_OBJECT) {
    size_t end = end_of_string(text, place);
    if (name != NULL) *name = (encaje_json){ENCAJE_JSON_STRING, {text.ptr + place, end - place}};
    place = skip(text, skip(text, end) + 1);
  }
  size_t end = end_of_value(text, place, 0, &value->kind);
  value->text = (encaje_text){text.ptr + place, end - place};
  *at = end;
  return end != 0;
}

encaje_json encaje_json_get(encaje_json object, const char *name) {
  encaje_json found = {ENCAJE_JSON_NONE, {NULL, 0}}, key, value;
  if (object.kind != ENCAJE_JSON_OBJECT) return found;
  for (size_t at = 0; encaje_json_each(object, &at, &key, &value);) {
    if (encaje_json_is(key, name)) found = value;
  }
  return found;
}

static uint32_t four_digits(const char *digits) {
  uint32_t number = 0;
  for (int place = 0; place < 4; place++) number = number << 4 | (uint32_t)hex(digits[place]);
  return number;
}

bool encaje_json_string(encaje_json value, encaje_buffer *to) {
  if (value.kind != ENCAJE_JSON_STRING) return false;
  const char *at = value.text.ptr + 1, *end = value.text.ptr + value.text.len - 1;
  while (at < end) {
    const char *plain = memchr(at, '\\', (size_t)(end - at));
    if (plain == NULL) plain = end;
    encaje_push(to, (encaje_text){at, (size_t)(plain - at)});
    if (plain == end) break;
    at = plain + 2;
    static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
    const char *known = strchr(from, plain[1]);
    if (plain[1] != 'u') {
      encaje_push_scalar(to, known != NULL ? (uint32_t)into[known - from] : (uint32_t)plain[1]);
      continue;
    }
    uint32_t scalar = four_digits(at);
    at += 4;
    if (scalar >= 0xd800 && scalar < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
      uint32_t low = four_digits(at + 2);
      if (low >= 0xdc00 && low < 0xe000) {
        scalar = 0x10000 + ((scalar - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
    }
    encaje_push_scalar(to, scalar >= 0xd800 && scalar < 0xe000 ? 0xfffd : scalar);
  }
  return true;
}

bool encaje_json_is(encaje_json value, const char *text) {
  encaje_buffer characters = {0};
  bool same = encaje_json_string(value, &characters) &&
              encaje_text_equal(encaje_text_of_buffer(&characters), encaje_text_of(text));
  encaje_release(&characters);
  return same;
}

bool encaje_json_number(encaje_json value, double *to) {
  if (value.kind != ENCAJE_JSON_NUMBER) return false;
  encaje_buffer digits = {0};
  encaje_push(&digits, value.text);
  encaje_push(&digits, (encaje_text){"", 1});
  *to = strtod(digits.ptr, NULL);
  encaje_release(&digits);
  return true;
}

bool encaje_json_whole(encaje_json value, uint64_t *to) {
  if (value.kind != ENCAJE_JSON_NUMBER) return false;
  uint64_t number = 0;
  for (size_t at = 0; at < value.text.len; at++) {
    if (!is_digit(value.text, at)) return false;
    uint64_t digit = (uint64_t)(value.text.ptr[at] - '0');
    if (number > (UINT64_MAX - digit) / 10) return false;
    number = number * 10 + digit;
  }
  *to = number;
  return true;
}

bool encaje_json_true(encaje_json value) { return value.kind == ENCAJE_JSON_BOOLEAN && value.text.len == 4; }

void encaje_json_quote(encaje_buffer *to, encaje_text text) {
  encaje_push(to, encaje_text_of("\""));
  for (size_t at = 0; at < text.len; at++) {
    unsigned char byte = (unsigned char)text.ptr[at];
    if (byte == '"' || byte == '\\') {
      encaje_print(to, "\\%c", byte);
    } else if (byte < 0x20) {
      encaje_print(to, "\\u%04x", byte);
    } else {
      encaje_push(to, (encaje_text){text.ptr + at, 1});
    }
  }
  encaje_push(to, encaje_text_of("\""));
}
