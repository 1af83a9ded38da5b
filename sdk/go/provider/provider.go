// Package provider is for plugins that answer, embed or rank: implement Provider, put Nothing into it for what is not
// offered, and call Export in an init function. The meaning of each call is the WIT's.
package provider

import (
	lifecycle "encaje/exports/export_encaje_common_lifecycle"
	exported "encaje/exports/export_encaje_provider_provider"
	_ "encaje/exports/wit_exports" // what the host calls
	"encaje/imports/encaje_common_chat"
	"encaje/imports/encaje_common_embeddings"
	"encaje/imports/encaje_common_errors"
	types "encaje/imports/encaje_provider_provider"
)

// The contract's types, under the names that plugins use; more of them are in the packages under encaje/imports.
type (
	Problem       = encaje_common_errors.Problem
	ChatRequest   = encaje_common_chat.ChatRequest
	Chunk         = encaje_common_chat.Chunk
	Usage         = encaje_common_chat.Usage
	EmbedRequest  = encaje_common_embeddings.EmbedRequest
	EmbedResponse = encaje_common_embeddings.EmbedResponse
	RerankRequest = encaje_common_embeddings.RerankRequest
	Ranked        = encaje_common_embeddings.Ranked
	ModelInfo     = types.ModelInfo
)

// Completion is an answer under way. Next waits for something to say; false is the end. Cancel is called once, when the
// host is done with it, at the end or before.
type Completion = exported.Answer

// Provider is the plugin.
type Provider interface {
	exported.Provider
	// Check is run once for each new generation, before any traffic. It names what the plugin offers: `chat`, `embed`,
	// `rerank`, `count-tokens`.
	Check() ([]string, *Problem)
}

// Export makes it the plugin of this component.
func Export(plugin Provider) {
	lifecycle.Checks = plugin.Check
	exported.Plugin = plugin
}

// Nothing answers `unsupported` to all that a plugin may leave out.
type Nothing struct{}

// Complete is not offered.
func (Nothing) Complete(ChatRequest) (Completion, *Problem) {
	return nil, encaje_common_errors.Unsupported("this provider has no chat models")
}

// Embed is not offered.
func (Nothing) Embed(EmbedRequest) (EmbedResponse, *Problem) {
	return EmbedResponse{}, encaje_common_errors.Unsupported("this provider has no embedding models")
}

// Rerank is not offered.
func (Nothing) Rerank(RerankRequest) ([]Ranked, *Problem) {
	return nil, encaje_common_errors.Unsupported("this provider has no ranking models")
}

// CountTokens is not offered.
func (Nothing) CountTokens(ChatRequest) (uint32, *Problem) {
	return 0, encaje_common_errors.Unsupported("this provider cannot count tokens")
}

// Text is a piece of an answer.
func Text(choice uint32, text string) Chunk {
	return Chunk{Choice: choice, Event: encaje_common_chat.MakeChatEventText(text)}
}

// Finish ends an answer.
func Finish(choice uint32, reason encaje_common_chat.FinishReason) Chunk {
	return Chunk{Choice: choice, Event: encaje_common_chat.MakeChatEventFinish(reason)}
}

// Used is what the answer took.
func Used(usage Usage) Chunk {
	return Chunk{Event: encaje_common_chat.MakeChatEventUsage(usage)}
}
