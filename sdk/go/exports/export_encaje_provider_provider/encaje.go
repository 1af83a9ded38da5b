package export_encaje_provider_provider

// This file answers the host's calls of `provider`. Plugins use the package encaje/provider.

import (
	"runtime"

	chat "encaje/imports/encaje_common_chat"
	embeddings "encaje/imports/encaje_common_embeddings"
	errors "encaje/imports/encaje_common_errors"
	types "encaje/imports/encaje_provider_provider"
	witTypes "encaje/wit/types"
)

// Answer is one under way.
type Answer interface {
	Next() ([]chat.Chunk, bool, *errors.Problem)
	Cancel()
}

// Provider is the plugin's. The host calls `check` first, which fails where none is set.
type Provider interface {
	Models() ([]types.ModelInfo, *errors.Problem)
	Complete(request chat.ChatRequest) (Answer, *errors.Problem)
	Embed(request embeddings.EmbedRequest) (embeddings.EmbedResponse, *errors.Problem)
	Rerank(request embeddings.RerankRequest) ([]embeddings.Ranked, *errors.Problem)
	CountTokens(request chat.ChatRequest) (uint32, *errors.Problem)
}

// Plugin is what was exported.
var Plugin Provider

// Completion is the resource that the host reads an answer from.
type Completion struct {
	pinner runtime.Pinner
	handle int32
	answer Answer
}

// Next waits for something to say.
func (c *Completion) Next() witTypes.Result[witTypes.Option[[]chat.Chunk], errors.Problem] {
	chunks, more, problem := c.answer.Next()
	if !more {
		return witTypes.Of(witTypes.None[[]chat.Chunk](), problem)
	}
	return witTypes.Of(witTypes.Some(chunks), problem)
}

// OnDrop is called when the host is done with the answer, at its end or before.
func (c *Completion) OnDrop() {
	if c.answer != nil {
		c.answer.Cancel()
	}
	c.answer = nil
}

// Models lists them.
func Models() witTypes.Result[[]types.ModelInfo, errors.Problem] { return witTypes.Of(Plugin.Models()) }

// Complete starts an answer.
func Complete(request chat.ChatRequest) witTypes.Result[*Completion, errors.Problem] {
	answer, problem := Plugin.Complete(request)
	return witTypes.Of(&Completion{answer: answer}, problem)
}

// Embed embeds.
func Embed(request embeddings.EmbedRequest) witTypes.Result[embeddings.EmbedResponse, errors.Problem] {
	return witTypes.Of(Plugin.Embed(request))
}

// Rerank orders documents.
func Rerank(request embeddings.RerankRequest) witTypes.Result[[]embeddings.Ranked, errors.Problem] {
	return witTypes.Of(Plugin.Rerank(request))
}

// CountTokens counts.
func CountTokens(request chat.ChatRequest) witTypes.Result[uint32, errors.Problem] {
	return witTypes.Of(Plugin.CountTokens(request))
}
