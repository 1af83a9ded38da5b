#include "encaje_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

encaje_text encaje_text_of(const char *text) { return (encaje_text){text, strlen(text)}; }

bool encaje_text_equal(encaje_text left, encaje_text right) {
  return left.len == right.len && (left.len == 0 || memcmp(left.ptr, right.ptr, left.len) == 0);
}

uint32_t encaje_next(encaje_text text, size_t *at) {
  const unsigned char *bytes = (const unsigned char *)text.ptr + *at;
  size_t left = text.len - *at;
  uint32_t scalar = bytes[0];
  size_t more = scalar < 0x80 ? 0 : scalar < 0xc2 ? 9 : scalar < 0xe0 ? 1 : scalar < 0xf0 ? 2 : scalar < 0xf5 ? 3 : 9;
  *at += 1;
  if (more == 0) return scalar;
  if (more >= left) return 0xfffd;
  scalar &= 0x3fu >> more;
  for (size_t place = 1; place <= more; place++) {
    if ((bytes[place] & 0xc0) != 0x80) return 0xfffd;
    scalar = scalar << 6 | (bytes[place] & 0x3f);
  }
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  if (scalar < least[more] || scalar > 0x10ffff || (scalar >= 0xd800 && scalar < 0xe000)) return 0xfffd;
  *at += more;
  return scalar;
}

bool encaje_is_space(uint32_t scalar) {
  return (scalar >= 0x09 && scalar <= 0x0d) || scalar == 0x20 || scalar == 0x85 || scalar == 0xa0 || scalar == 0x1680 ||
         (scalar >= 0x2000 && scalar <= 0x200a) || scalar == 0x2028 || scalar == 0x2029 || scalar == 0x202f ||
         scalar == 0x205f || scalar == 0x3000;
}

bool encaje_is_alphanumeric(uint32_t scalar) {
  if (scalar < 0x80) return (scalar >= '0' && scalar <= '9') || (scalar | 0x20) - 'a' < 26;
  return iswalnum((wint_t)scalar);
}

bool encaje_next_word(encaje_text text, size_t *at, encaje_text *word) {
  size_t start = *at;
  while (start < text.len) {
    size_t after = start;
    if (!encaje_is_space(encaje_next(text, &after))) break;
    start = after;
  }
  size_t end = start;
  while (end < text.len) {
    size_t after = end;
    if (encaje_is_space(encaje_next(text, &after))) break;
    end = after;
  }
  *at = end;
  *word = (encaje_text){text.ptr + start, end - start};
  return end > start;
}

void *encaje_allocate(size_t count, size_t size) {
  void *place = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
  if (place == NULL) abort();
  return place;
}

static void reserve(encaje_buffer *buffer, size_t more) {
  if (more <= buffer->capacity - buffer->len) return;
  if (more > SIZE_MAX / 4 || buffer->len > SIZE_MAX / 4) abort();
  size_t capacity = (buffer->len + more) * 2;
  char *ptr = realloc(buffer->ptr, capacity);
  if (ptr == NULL) abort();
  buffer->ptr = ptr;
  buffer->capacity = capacity;
}

void encaje_push(encaje_buffer *buffer, encaje_text text) {
  if (text.len == 0) return;
  reserve(buffer, text.len);
  memcpy(buffer->ptr + buffer->len, text.ptr, text.len);
  buffer->len += text.len;
}

void encaje_push_scalar(encaje_buffer *buffer, uint32_t scalar) {
  char bytes[4];
  size_t len;
  if (scalar < 0x80) {
    bytes[0] = (char)scalar;
    len = 1;
  } else if (scalar < 0x800) {
    bytes[0] = (char)(0xc0 | scalar >> 6);
    len = 2;
  } else if (scalar < 0x10000) {
    bytes[0] = (char)(0xe0 | scalar >> 12);
    len = 3;
  } else {
    bytes[0] = (char)(0xf0 | scalar >> 18);
    len = 4;
  }
  for (size_t place = 1; place < len; place++) {
    bytes[place] = (char)(0x80 | (scalar >> 6 * (len - 1 - place) & 0x3f));
  }
  encaje_push(buffer, (encaje_text){bytes, len});
}

void encaje_print(encaje_buffer *buffer, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int len = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (len < 0) abort();
  reserve(buffer, (size_t)len + 1);
  vsnprintf(buffer->ptr + buffer->len, (size_t)len + 1, format, arguments);
  va_end(arguments);
  buffer->len += (size_t)len;
}

encaje_text encaje_text_of_buffer(const encaje_buffer *buffer) { return (encaje_text){buffer->ptr, buffer->len}; }

void encaje_release(encaje_buffer *buffer) {
  free(buffer->ptr);
  *buffer = (encaje_buffer){0};
}

// Marks that a word may have inside without an end: those of Unicode's Case_Ignorable that texts really have.
static bool is_ignored(uint32_t scalar) {
  return scalar == '\'' || scalar == '.' || scalar == ':' || scalar == '^' || scalar == '`' || scalar == 0xa8 ||
         scalar == 0xad || scalar == 0xaf || scalar == 0xb4 || scalar == 0xb7 || scalar == 0xb8 ||
         (scalar >= 0x2b0 && scalar <= 0x36f) || (scalar >= 0x200b && scalar <= 0x200f) || scalar == 0x2018 ||
         scalar == 0x2019 || scalar == 0x2024 || scalar == 0x2027 || (scalar >= 0xfe00 && scalar <= 0xfe0f);
}

// By the tables of the C library, which leave out the letters in circles; ligatures have a case, but no other letter
// for it.
static uint32_t lower_of(uint32_t scalar) {
  if (scalar >= 0x24b6 && scalar <= 0x24cf) return scalar + 26;
  return (uint32_t)towlower((wint_t)scalar);
}

static bool is_cased(uint32_t scalar) {
  return lower_of(scalar) != scalar || towupper((wint_t)scalar) != (wint_t)scalar ||
         (scalar >= 0x24d0 && scalar <= 0x24e9) || (scalar >= 0xfb00 && scalar <= 0xfb17);
}

void encaje_push_lower(encaje_buffer *buffer, encaje_text text) {
  bool after_cased = false;
  for (size_t at = 0; at < text.len;) {
    uint32_t scalar = encaje_next(text, &at);
    if (scalar == 0x130) {
      encaje_push(buffer, encaje_text_of("i\xcc\x87"));
    } else if (scalar == 0x3a3 && after_cased) {
      bool before_cased = false;
      for (size_t ahead = at; ahead < text.len;) {
        uint32_t next = encaje_next(text, &ahead);
        if (is_ignored(next)) continue;
        before_cased = is_cased(next);
        break;
      }
      encaje_push_scalar(buffer, before_cased ? 0x3c3 : 0x3c2);
    } else if (scalar < 0x80) {
      encaje_push_scalar(buffer, scalar >= 'A' && scalar <= 'Z' ? scalar + 32 : scalar);
    } else {
      encaje_push_scalar(buffer, lower_of(scalar));
    }
    if (!is_ignored(scalar)) after_cased = is_cased(scalar);
  }
}
