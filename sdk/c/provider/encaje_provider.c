#include "encaje_provider.h"

#include <string.h>

void encaje_chunks_end(encaje_chunks *chunks) { memset(chunks, 0, sizeof *chunks); }

void encaje_chunks_begin(encaje_chunks *chunks, size_t count) {
  chunks->is_some = true;
  chunks->val.len = count;
  chunks->val.ptr = count == 0 ? NULL : encaje_allocate(count, sizeof *chunks->val.ptr);
}

void encaje_chunk_text(encaje_chunks *chunks, size_t place, uint32_t choice, encaje_text text) {
  encaje_common_chat_chunk_t *chunk = &chunks->val.ptr[place];
  chunk->choice = choice;
  chunk->event.tag = ENCAJE_COMMON_CHAT_CHAT_EVENT_TEXT;
  chunk->event.val.text = encaje_string(text);
}

void encaje_chunk_finish(encaje_chunks *chunks, size_t place, uint32_t choice, uint8_t reason) {
  encaje_common_chat_chunk_t *chunk = &chunks->val.ptr[place];
  chunk->choice = choice;
  chunk->event.tag = ENCAJE_COMMON_CHAT_CHAT_EVENT_FINISH;
  chunk->event.val.finish.tag = reason;
}

void encaje_chunk_usage(encaje_chunks *chunks, size_t place, uint64_t input_tokens, uint64_t output_tokens) {
  encaje_common_chat_chunk_t *chunk = &chunks->val.ptr[place];
  chunk->event.tag = ENCAJE_COMMON_CHAT_CHAT_EVENT_USAGE;
  chunk->event.val.usage.input_tokens = input_tokens;
  chunk->event.val.usage.output_tokens = output_tokens;
}

bool encaje_input_text(const encaje_common_chat_input_t *input, encaje_buffer *to) {
  if (input->tag == ENCAJE_COMMON_CHAT_INPUT_PROMPT) {
    encaje_push(to, encaje_text_from(input->val.prompt));
    return true;
  }
  if (input->tag != ENCAJE_COMMON_CHAT_INPUT_MESSAGES) return false;
  for (size_t place = 0; place < input->val.messages.len; place++) {
    const encaje_common_chat_message_t *message = &input->val.messages.ptr[place];
    for (size_t part = 0; part < message->content.len; part++) {
      const encaje_common_chat_part_body_t *body = &message->content.ptr[part].body;
      if (body->tag != ENCAJE_COMMON_CHAT_PART_BODY_TEXT) continue;
      if (to->len != 0) encaje_push(to, encaje_text_of("\n"));
      encaje_push(to, encaje_text_from(body->val.text));
    }
  }
  return true;
}

// What a plugin does not write itself.

__attribute__((weak)) bool exports_encaje_common_lifecycle_check(plugin_list_string_t *ret, encaje_problem *err) {
  (void)err;
  ret->ptr = encaje_allocate(1, sizeof *ret->ptr);
  ret->len = 1;
  ret->ptr[0] = encaje_string_of("chat");
  return true;
}

__attribute__((weak)) bool
exports_encaje_provider_provider_embed(exports_encaje_provider_provider_embed_request_t *request,
                                       exports_encaje_provider_provider_embed_response_t *ret, encaje_problem *err) {
  (void)ret;
  exports_encaje_provider_provider_embed_request_free(request);
  encaje_fail(err, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_UNSUPPORTED, "this provider has no embedding models");
  return false;
}

__attribute__((weak)) bool
exports_encaje_provider_provider_rerank(exports_encaje_provider_provider_rerank_request_t *request,
                                        exports_encaje_provider_provider_list_ranked_t *ret, encaje_problem *err) {
  (void)ret;
  exports_encaje_provider_provider_rerank_request_free(request);
  encaje_fail(err, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_UNSUPPORTED, "this provider has no ranking models");
  return false;
}

__attribute__((weak)) bool
exports_encaje_provider_provider_count_tokens(exports_encaje_provider_provider_chat_request_t *request, uint32_t *ret,
                                              encaje_problem *err) {
  (void)ret;
  exports_encaje_provider_provider_chat_request_free(request);
  encaje_fail(err, ENCAJE_COMMON_ERRORS_PROBLEM_KIND_UNSUPPORTED, "this provider cannot count tokens");
  return false;
}
