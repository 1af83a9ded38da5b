// What a plugin in C needs beside the bindings (plugin.h, generated from the contracts when the plugin is built): texts
// that cross the boundary, and problems. Whatever a plugin returns is freed by the bindings, so that all of it must
// come from malloc: `encaje_string` copies.
#ifndef ENCAJE_H
#define ENCAJE_H

#include "encaje_json.h"
#include "encaje_stream.h"
#include "encaje_text.h"
#include "plugin.h"

// A copy for the host.
plugin_string_t encaje_string(encaje_text text);
// A copy of a text of C.
plugin_string_t encaje_string_of(const char *text);
// The buffer's bytes without a copy; the buffer is empty afterwards.
plugin_string_t encaje_string_from(encaje_buffer *buffer);
// What the host sent.
encaje_text encaje_text_from(plugin_string_t string);

typedef encaje_common_errors_problem_t encaje_problem;

// A problem of this class (ENCAJE_COMMON_ERRORS_PROBLEM_KIND_…). `message` is for the caller: no secret, no path, no
// upstream body.
void encaje_fail(encaje_problem *problem, uint8_t kind, const char *message);
// As encaje_fail; the buffer is empty afterwards.
void encaje_fail_with(encaje_problem *problem, uint8_t kind, encaje_buffer *message);
// Names the offending parameter, e.g. `messages[0].content`.
void encaje_fail_param(encaje_problem *problem, const char *param);
// A stable machine word.
void encaje_fail_code(encaje_problem *problem, const char *code);
// When to try again.
void encaje_fail_retry_after(encaje_problem *problem, uint64_t milliseconds);

#endif
