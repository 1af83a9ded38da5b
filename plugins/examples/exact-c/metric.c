#include "metric.h"

#include <stdlib.h>
#include <string.h>

static const char *read_steps(metric *metric, encaje_json list) {
  if (list.kind != ENCAJE_JSON_ARRAY) return "params.normalise must be a list";
  metric->lowered = metric->unpunctuated = metric->without_articles = metric->spaced = false;
  encaje_json step;
  for (size_t at = 0; encaje_json_each(list, &at, NULL, &step);) {
    if (encaje_json_is(step, "case")) {
      metric->lowered = true;
    } else if (encaje_json_is(step, "punctuation")) {
      metric->unpunctuated = true;
    } else if (encaje_json_is(step, "articles")) {
      metric->without_articles = true;
    } else if (encaje_json_is(step, "whitespace")) {
      metric->spaced = true;
    } else {
      return "params.normalise has another step than `case`, `punctuation`, `articles` and `whitespace`";
    }
  }
  return NULL;
}

static const char *read_length(metric *metric, encaje_json name, encaje_json value) {
  if (encaje_json_is(name, "unit")) {
    if (encaje_json_is(value, "characters")) {
      metric->unit = CHARACTERS;
    } else if (encaje_json_is(value, "words")) {
      metric->unit = WORDS;
    } else if (encaje_json_is(value, "bytes")) {
      metric->unit = BYTES;
    } else {
      return "params.unit must be `characters`, `words` or `bytes`";
    }
    return NULL;
  }
  bool is_min = encaje_json_is(name, "min");
  if (!is_min && !encaje_json_is(name, "max")) return "params has another entry than `unit`, `min` and `max`";
  bool *has = is_min ? &metric->has_min : &metric->has_max;
  *has = value.kind != ENCAJE_JSON_NULL;
  if (*has && !encaje_json_whole(value, is_min ? &metric->min : &metric->max)) {
    return "params.min and params.max must be whole numbers, 0 or more";
  }
  return NULL;
}

const char *metric_read(metric *metric, metric_kind kind, encaje_json params, const char **param) {
  memset(metric, 0, sizeof *metric);
  metric->kind = kind;
  metric->lowered = metric->unpunctuated = metric->without_articles = metric->spaced = true;
  *param = "params";
  if (params.kind != ENCAJE_JSON_OBJECT) return "params must be a JSON object";
  encaje_json name, value;
  for (size_t at = 0; encaje_json_each(params, &at, &name, &value);) {
    const char *wrong;
    if (kind == LENGTH) {
      wrong = read_length(metric, name, value);
    } else if (encaje_json_is(name, "normalise")) {
      wrong = read_steps(metric, value);
    } else {
      wrong = "params has another entry than `normalise`";
    }
    if (wrong != NULL) return wrong;
  }
  if (metric->has_min && metric->has_max && metric->min > metric->max) {
    *param = "params.min";
    return "params.min is larger than params.max: no output could pass";
  }
  return NULL;
}

static bool is_ascii_punctuation(uint32_t scalar) {
  return (scalar >= 0x21 && scalar <= 0x2f) || (scalar >= 0x3a && scalar <= 0x40) ||
         (scalar >= 0x5b && scalar <= 0x60) || (scalar >= 0x7b && scalar <= 0x7e);
}

// Of ASCII letters alone, whatever their case.
static bool is_article(encaje_text word) {
  static const char *const articles[] = {"a", "an", "the"};
  for (size_t place = 0; place < 3; place++) {
    size_t len = strlen(articles[place]), same = 0;
    while (word.len == len && same < len && (word.ptr[same] | 0x20) == articles[place][same]) same++;
    if (same == len) return true;
  }
  return false;
}

// Each article becomes a space, wherever it is a word of its own.
static void without_articles(encaje_text text, encaje_buffer *to) {
  for (size_t at = 0; at < text.len;) {
    size_t end = at, behind = at;
    while (end < text.len) {
      uint32_t scalar = encaje_next(text, &behind);
      if (scalar != '_' && !encaje_is_alphanumeric(scalar)) break;
      end = behind;
    }
    encaje_text word = {text.ptr + at, end - at};
    encaje_push(to, is_article(word) ? encaje_text_of(" ") : word);
    // The one character that ended it, if any, is no part of a word.
    encaje_push(to, (encaje_text){text.ptr + end, behind - end});
    at = behind;
  }
}

static void spaced(encaje_text text, encaje_buffer *to) {
  encaje_text word;
  for (size_t at = 0, count = 0; encaje_next_word(text, &at, &word); count++) {
    if (count != 0) encaje_push(to, encaje_text_of(" "));
    encaje_push(to, word);
  }
}

void metric_normalise(const metric *metric, encaje_text text, encaje_buffer *to) {
  encaje_buffer steps[3] = {0};
  if (metric->lowered) {
    encaje_push_lower(&steps[0], text);
    text = encaje_text_of_buffer(&steps[0]);
  }
  if (metric->unpunctuated) {
    // Byte by byte: no byte of a longer character is ASCII.
    for (size_t at = 0; at < text.len; at++) {
      if (!is_ascii_punctuation((unsigned char)text.ptr[at])) encaje_push(&steps[1], (encaje_text){text.ptr + at, 1});
    }
    text = encaje_text_of_buffer(&steps[1]);
  }
  if (metric->without_articles) {
    without_articles(text, &steps[2]);
    text = encaje_text_of_buffer(&steps[2]);
  }
  if (metric->spaced) {
    spaced(text, to);
  } else {
    encaje_push(to, text);
  }
  for (size_t place = 0; place < 3; place++) encaje_release(&steps[place]);
}

static int order(const void *left, const void *right) {
  const encaje_text *a = left, *b = right;
  int by_bytes = memcmp(a->ptr, b->ptr, a->len < b->len ? a->len : b->len);
  return by_bytes != 0 ? by_bytes : (a->len > b->len) - (a->len < b->len);
}

// The tokens of a text, sorted.
static encaje_text *tokens(encaje_text text, size_t *count) {
  encaje_text word;
  *count = 0;
  for (size_t at = 0; encaje_next_word(text, &at, &word);) ++*count;
  encaje_text *all = encaje_allocate(*count, sizeof *all);
  for (size_t at = 0, place = 0; encaje_next_word(text, &at, &word);) all[place++] = word;
  qsort(all, *count, sizeof *all, order);
  return all;
}

// The harmonic mean of precision and recall over bags of tokens. Where one of the bags is empty: 1 if both are, else 0,
// as the script of SQuAD 2.0 has it.
static double token_f1(encaje_text output, encaje_text reference) {
  size_t said_count, right_count, common = 0;
  encaje_text *said = tokens(output, &said_count), *right = tokens(reference, &right_count);
  for (size_t a = 0, b = 0; a < said_count && b < right_count;) {
    int by = order(&said[a], &right[b]);
    common += by == 0;
    a += by <= 0;
    b += by >= 0;
  }
  free(said);
  free(right);
  if (said_count == 0 || right_count == 0) return said_count == right_count ? 1 : 0;
  return 2 * (double)common / (double)(said_count + right_count);
}

double metric_compare(const metric *metric, encaje_text output, encaje_text reference) {
  if (metric->kind == TOKEN_F1) return token_f1(output, reference);
  return encaje_text_equal(output, reference) ? 1 : 0;
}

double metric_length(const metric *metric, encaje_text output) {
  uint64_t length = output.len;
  encaje_text word;
  if (metric->unit == WORDS) {
    length = 0;
    for (size_t at = 0; encaje_next_word(output, &at, &word);) length++;
  } else if (metric->unit == CHARACTERS) {
    length = 0;
    for (size_t at = 0; at < output.len; length++) encaje_next(output, &at);
  }
  if (!metric->has_min && !metric->has_max) return (double)length;
  return (!metric->has_min || length >= metric->min) && (!metric->has_max || length <= metric->max);
}
