#include "encaje.h"

#include <string.h>

// The bindings ask for an object file with the contracts; the builder puts them into the module itself.
void __component_type_object_force_link_plugin(void);
void __component_type_object_force_link_plugin(void) {}

plugin_string_t encaje_string(encaje_text text) {
  // The bindings free no empty text.
  if (text.len == 0) return (plugin_string_t){NULL, 0};
  uint8_t *copy = encaje_allocate(text.len, 1);
  memcpy(copy, text.ptr, text.len);
  return (plugin_string_t){copy, text.len};
}

plugin_string_t encaje_string_of(const char *text) { return encaje_string(encaje_text_of(text)); }

plugin_string_t encaje_string_from(encaje_buffer *buffer) {
  if (buffer->len == 0) encaje_release(buffer);
  plugin_string_t string = {(uint8_t *)buffer->ptr, buffer->len};
  *buffer = (encaje_buffer){0};
  return string;
}

encaje_text encaje_text_from(plugin_string_t string) { return (encaje_text){(const char *)string.ptr, string.len}; }

void encaje_fail(encaje_problem *problem, uint8_t kind, const char *message) {
  memset(problem, 0, sizeof *problem);
  problem->kind.tag = kind;
  problem->message = encaje_string_of(message);
}

void encaje_fail_with(encaje_problem *problem, uint8_t kind, encaje_buffer *message) {
  memset(problem, 0, sizeof *problem);
  problem->kind.tag = kind;
  problem->message = encaje_string_from(message);
}

void encaje_fail_param(encaje_problem *problem, const char *param) {
  problem->param.is_some = true;
  problem->param.val = encaje_string_of(param);
}

void encaje_fail_code(encaje_problem *problem, const char *code) {
  problem->code.is_some = true;
  problem->code.val = encaje_string_of(code);
}

void encaje_fail_retry_after(encaje_problem *problem, uint64_t milliseconds) {
  problem->retry_after_ms.is_some = true;
  problem->retry_after_ms.val = milliseconds;
}
