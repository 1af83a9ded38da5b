// A JSON reader that builds nothing: it walks over a text that was checked once. Enough for parameters, configuration
// and the lines of a stream. Numbers are doubles, or whole ones up to 64 bits.
#ifndef ENCAJE_JSON_H
#define ENCAJE_JSON_H

#include "encaje_text.h"

typedef enum {
  ENCAJE_JSON_NONE, // not there, or no JSON
  ENCAJE_JSON_NULL,
  ENCAJE_JSON_BOOLEAN,
  ENCAJE_JSON_NUMBER,
  ENCAJE_JSON_STRING,
  ENCAJE_JSON_ARRAY,
  ENCAJE_JSON_OBJECT,
} encaje_json_kind;

// A value: a piece of the text that it was read from, without white space around it.
typedef struct {
  encaje_json_kind kind;
  encaje_text text;
} encaje_json;

// The one value of a text; of kind ENCAJE_JSON_NONE where the text is not JSON (RFC 8259), has more behind it, or is
// deeper than 64 levels.
encaje_json encaje_json_parse(encaje_text text);

// Walks over an array (name is NULL) or an object. `*at` starts as 0; false at the end, and for what is neither. The
// name is a string value.
bool encaje_json_each(encaje_json whole, size_t *at, encaje_json *name, encaje_json *value);
// The last entry of this name in an object; of kind ENCAJE_JSON_NONE where there is none.
encaje_json encaje_json_get(encaje_json object, const char *name);

// Appends the characters of a string; false for other kinds. Lone surrogates become U+FFFD.
bool encaje_json_string(encaje_json value, encaje_buffer *to);
// Whether a string has exactly these characters.
bool encaje_json_is(encaje_json value, const char *text);
// A number; false for other kinds.
bool encaje_json_number(encaje_json value, double *to);
// A number without sign, fraction and exponent that fits; false for others.
bool encaje_json_whole(encaje_json value, uint64_t *to);
bool encaje_json_true(encaje_json value);

// Appends a text as a JSON string, with its quotes.
void encaje_json_quote(encaje_buffer *to, encaje_text text);

#endif
