// Texts that are pointers with lengths: UTF-8, letters and white space of all scripts, and a buffer that grows. It
// knows nothing of the host, so that it can be tested natively.
#ifndef ENCAJE_TEXT_H
#define ENCAJE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// UTF-8, not ended by a zero.
typedef struct {
  const char *ptr;
  size_t len;
} encaje_text;

// A text of C.
encaje_text encaje_text_of(const char *text);
bool encaje_text_equal(encaje_text left, encaje_text right);

// The Unicode scalar value at `*at`, which moves behind it. Bytes that are no UTF-8 count one each, as U+FFFD.
uint32_t encaje_next(encaje_text text, size_t *at);

// Unicode's property White_Space.
bool encaje_is_space(uint32_t scalar);
// Letters and digits of all scripts, by the tables of the C library.
bool encaje_is_alphanumeric(uint32_t scalar);

// The next word, separated by white space, from `*at` on; false where there is none.
bool encaje_next_word(encaje_text text, size_t *at, encaje_text *word);

// Bytes that grow. Starts as {0}; memory that is not there ends the instance, as in every guest.
typedef struct {
  char *ptr;
  size_t len, capacity;
} encaje_buffer;

void encaje_push(encaje_buffer *buffer, encaje_text text);
void encaje_push_scalar(encaje_buffer *buffer, uint32_t scalar);
void encaje_print(encaje_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
encaje_text encaje_text_of_buffer(const encaje_buffer *buffer);
void encaje_release(encaje_buffer *buffer);

// Appends the text in lower case: letter by letter, İ as i and a dot above, Σ as ς at the end of a word.
void encaje_push_lower(encaje_buffer *buffer, encaje_text text);

// malloc and calloc that end the instance where there is no memory.
void *encaje_allocate(size_t count, size_t size);

#endif
