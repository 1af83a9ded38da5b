// A provider without a model: it answers with its greeting and what was said last. Put your model or upstream where the
// words come from; what it cannot do it refuses by name, and never ignores in silence.
#include "echo.h"
#include "encaje_provider.h"

#include <stdlib.h>
#include <string.h>

// Words of prompt and answer together; a longer prompt is refused. A word is a token here.
enum { CONTEXT_WORDS = 32768 };

// An answer under way.
struct exports_encaje_provider_provider_completion_t {
  encaje_buffer text;
  size_t at;
  uint64_t input, most, said;
  bool ended;
};

// What it offers. The host has checked the configuration against the schema of plugin.toml.
bool exports_encaje_common_lifecycle_check(plugin_list_string_t *ret, encaje_problem *err) {
  (void)err;
  ret->len = 2;
  ret->ptr = encaje_allocate(2, sizeof *ret->ptr);
  ret->ptr[0] = encaje_string_of("chat");
  ret->ptr[1] = encaje_string_of("count-tokens");
  return true;
}

bool exports_encaje_provider_provider_models(exports_encaje_provider_provider_list_model_info_t *ret,
                                             encaje_problem *err) {
  (void)err;
  exports_encaje_provider_provider_model_info_t *model = encaje_allocate(1, sizeof *model);
  model->id = encaje_string_of("{{name}}");
  model->owned_by = encaje_string_of("me");
  model->context_tokens.is_some = true;
  model->context_tokens.val = CONTEXT_WORDS;
  model->capabilities.len = 1;
  model->capabilities.ptr = encaje_allocate(1, sizeof *model->capabilities.ptr);
  model->capabilities.ptr[0] = encaje_string_of("chat");
  ret->ptr = model;
  ret->len = 1;
  return true;
}

static bool unsupported(encaje_problem *problem, const char *param, size_t len) {
  encaje_buffer message = {0}, name = {0};
  encaje_print(&name, "%.*s", (int)(len < 256 ? len : 256), param);
  encaje_print(&message, "this provider does not know `%s`; leave it out", name.ptr);
  encaje_fail_with(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_UNSUPPORTED, &message);
  encaje_fail_param(problem, name.ptr);
  encaje_release(&name);
  return false;
}

// Temperature, seed and the penalties choose among answers; there is only one here, so each of their values is kept.
static bool can_do(const encaje_common_chat_chat_request_t *request, encaje_problem *problem) {
  const encaje_common_chat_sampling_t *sampling = &request->sampling;
  bool forbidden =
      request->tool_choice.is_some && request->tool_choice.val.tag == ENCAJE_COMMON_CHAT_TOOL_CHOICE_FORBIDDEN;
  const char *wrong = NULL;
  if (sampling->choices != 1) wrong = "n";
  if (sampling->stop.len != 0) wrong = "stop";
  if (sampling->logit_bias.len != 0) wrong = "logit_bias";
  if (sampling->logprobs.is_some) wrong = "logprobs";
  if (request->tools.len != 0 && !forbidden) wrong = "tools";
  if (request->response_format.tag != ENCAJE_COMMON_CHAT_RESPONSE_FORMAT_TEXT) wrong = "response_format";
  if (request->reasoning_effort.is_some) wrong = "reasoning_effort";
  if (wrong != NULL) return unsupported(problem, wrong, strlen(wrong));
  if (request->extra.len == 0) return true;
  encaje_text name = encaje_text_from(request->extra.ptr[0].f0);
  return unsupported(problem, name.ptr, name.len);
}

// All text of the prompt; false with a problem where something else is in it.
static bool read_input(const encaje_common_chat_input_t *input, encaje_buffer *all, encaje_problem *problem) {
  if (input->tag == ENCAJE_COMMON_CHAT_INPUT_MESSAGES) {
    for (size_t at = 0; at < input->val.messages.len; at++) {
      const encaje_common_chat_message_t *message = &input->val.messages.ptr[at];
      for (size_t place = 0; place < message->content.len; place++) {
        if (message->content.ptr[place].body.tag == ENCAJE_COMMON_CHAT_PART_BODY_TEXT) continue;
        encaje_buffer param = {0};
        encaje_print(&param, "messages[%zu].content[%zu]", at, place);
        encaje_fail(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_UNSUPPORTED, "this provider reads text alone");
        encaje_fail_param(problem, param.ptr);
        encaje_release(&param);
        return false;
      }
    }
  }
  if (encaje_input_text(input, all)) return true;
  encaje_fail(problem, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_UNSUPPORTED, "this provider reads text, not token ids");
  encaje_fail_param(problem, "prompt");
  return false;
}

// The prompt, or the text of the last message of a person.
static void said_last(encaje_common_chat_input_t *input, encaje_buffer *to) {
  if (input->tag == ENCAJE_COMMON_CHAT_INPUT_MESSAGES) {
    for (size_t at = input->val.messages.len; at-- > 0;) {
      encaje_common_chat_message_t *message = &input->val.messages.ptr[at];
      if (message->role.tag != ENCAJE_COMMON_CHAT_ROLE_USER) continue;
      encaje_common_chat_input_t last = {.tag = input->tag, .val.messages = {message, 1}};
      encaje_input_text(&last, to);
      return;
    }
    return;
  }
  encaje_input_text(input, to);
}

bool exports_encaje_provider_provider_count_tokens(exports_encaje_provider_provider_chat_request_t *request,
                                                   uint32_t *ret, encaje_problem *err) {
  encaje_buffer all = {0};
  bool readable = read_input(&request->input, &all, err);
  if (readable) *ret = (uint32_t)echo_count(all.ptr, all.len);
  encaje_release(&all);
  exports_encaje_provider_provider_chat_request_free(request);
  return readable;
}

// What every answer begins with, from the plugin's table of the registry.
static void greet(encaje_buffer *to) {
  plugin_string_t config;
  encaje_host_config_get(&config);
  encaje_json_string(encaje_json_get(encaje_json_parse(encaje_text_from(config)), "greeting"), to);
  plugin_string_free(&config);
}

static bool start(exports_encaje_provider_provider_chat_request_t *request, encaje_completion *ret,
                  encaje_problem *err) {
  encaje_buffer all = {0};
  if (!can_do(request, err) || !read_input(&request->input, &all, err)) {
    encaje_release(&all);
    return false;
  }
  exports_encaje_provider_provider_completion_t *answer = encaje_allocate(1, sizeof *answer);
  answer->input = echo_count(all.ptr, all.len);
  encaje_release(&all);
  greet(&answer->text);
  encaje_push(&answer->text, encaje_text_of(" "));
  said_last(&request->input, &answer->text);
  uint64_t words = echo_count(answer->text.ptr, answer->text.len);
  answer->most = request->sampling.max_tokens.is_some ? request->sampling.max_tokens.val : words;
  if (answer->input + (words < answer->most ? words : answer->most) > CONTEXT_WORDS) {
    encaje_fail(err, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_CONTEXT_EXCEEDED, "prompt and answer do not fit the context");
    encaje_fail_code(err, "context_length_exceeded");
    encaje_fail_param(err, "messages");
    exports_encaje_provider_provider_completion_destructor(answer);
    return false;
  }
  *ret = exports_encaje_provider_provider_completion_new(answer);
  return true;
}

bool exports_encaje_provider_provider_complete(exports_encaje_provider_provider_chat_request_t *request,
                                               encaje_completion *ret, encaje_problem *err) {
  bool started = start(request, ret, err);
  exports_encaje_provider_provider_chat_request_free(request);
  return started;
}

bool exports_encaje_provider_provider_method_completion_next(exports_encaje_provider_provider_completion_t *answer,
                                                             encaje_chunks *ret, encaje_problem *err) {
  (void)err;
  if (answer->ended) {
    encaje_chunks_end(ret);
    return true;
  }
  const char *word;
  size_t len;
  bool more = echo_next(answer->text.ptr, answer->text.len, &answer->at, &word, &len);
  if (more && answer->said < answer->most) {
    encaje_buffer piece = {0};
    encaje_print(&piece, "%s%.*s", answer->said == 0 ? "" : " ", (int)len, word);
    encaje_chunks_begin(ret, 1);
    encaje_chunk_text(ret, 0, 0, encaje_text_of_buffer(&piece));
    encaje_release(&piece);
    answer->said++;
    return true;
  }
  answer->ended = true;
  encaje_chunks_begin(ret, 2);
  uint8_t reason = more ? ENCAJE_COMMON_CHAT_FINISH_REASON_LENGTH : ENCAJE_COMMON_CHAT_FINISH_REASON_STOP;
  encaje_chunk_finish(ret, 0, 0, reason);
  encaje_chunk_usage(ret, 1, answer->input, answer->said);
  return true;
}

// The host is done with the answer, at its end or before; an upstream's connection would be closed here.
void exports_encaje_provider_provider_completion_destructor(exports_encaje_provider_provider_completion_t *answer) {
  encaje_release(&answer->text);
  free(answer);
}
