// For plugins that answer, embed or rank. The plugin writes the functions of plugin.h that it offers; for the others
// there are ones here that answer `unsupported`: embed, rerank, count_tokens. `check` offers `chat`; a plugin that
// offers something else writes its own.
#ifndef ENCAJE_PROVIDER_H
#define ENCAJE_PROVIDER_H

#include "encaje.h"

typedef exports_encaje_provider_provider_option_list_chunk_t encaje_chunks;
typedef exports_encaje_provider_provider_own_completion_t encaje_completion;

// The end of an answer: no chunks, and none to come.
void encaje_chunks_end(encaje_chunks *chunks);
// Room for `count` chunks, to be filled by the functions below.
void encaje_chunks_begin(encaje_chunks *chunks, size_t count);
void encaje_chunk_text(encaje_chunks *chunks, size_t place, uint32_t choice, encaje_text text);
// A reason is ENCAJE_COMMON_CHAT_FINISH_REASON_….
void encaje_chunk_finish(encaje_chunks *chunks, size_t place, uint32_t choice, uint8_t reason);
void encaje_chunk_usage(encaje_chunks *chunks, size_t place, uint64_t input_tokens, uint64_t output_tokens);

// Appends all text of a request's input: the prompt, or the texts of all messages, each on lines of its own. False
// where the input is token ids.
bool encaje_input_text(const encaje_common_chat_input_t *input, encaje_buffer *to);

#endif
