// A provider in Go: the models of an Ollama server, over the host's HTTP. This file answers the host, request.go translates
// what is asked, and the package wire knows the server's words.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	chat "encaje/imports/encaje_common_chat"
	problems "encaje/imports/encaje_common_errors"
	"encaje/imports/encaje_host_config"
	"encaje/provider"
	"encaje/wit/types"

	"provider-ollama/wire"
)

func main() {}

func init() { provider.Export(ollama{}) }

// What it does not write, provider.Nothing answers with `unsupported`.
type ollama struct{ provider.Nothing }

// The plugin's table of the registry; plugin.toml has its schema and the defaults.
type config struct {
	BaseURL            string `json:"base_url"`
	Secret             string `json:"secret"`
	KeepAlive          string `json:"keep_alive"`
	ConnectTimeoutMs   uint32 `json:"connect_timeout_ms"`
	FirstByteTimeoutMs uint32 `json:"first_byte_timeout_ms"`
	TotalTimeoutMs     uint32 `json:"total_timeout_ms"`
}

func configuration() (config, *provider.Problem) {
	var found config
	if err := json.Unmarshal([]byte(encaje_host_config.Get()), &found); err != nil {
		return found, problems.Misconfigured("the configuration is not what plugin.toml describes").WithLogDetail(err.Error())
	}
	found.BaseURL = strings.TrimRight(found.BaseURL, "/")
	return found, nil
}

// keepAlive is the configured time as JSON; nothing where there is none.
func (c config) keepAlive() json.RawMessage {
	if c.KeepAlive == "" {
		return nil
	}
	text, _ := json.Marshal(c.KeepAlive) // a string always is JSON
	return text
}

// Check asks nothing of the server: it may be started later.
func (ollama) Check() ([]string, *provider.Problem) {
	_, problem := configuration()
	return []string{"chat", "embed"}, problem
}

// Models lists what the server has.
func (ollama) Models() ([]provider.ModelInfo, *provider.Problem) {
	settings, problem := configuration()
	if problem != nil {
		return nil, problem
	}
	var tags wire.Tags
	if problem := settings.ask("GET", "/api/tags", nil, &tags); problem != nil {
		return nil, problem
	}
	models := make([]provider.ModelInfo, 0, len(tags.Models))
	for _, model := range tags.Models {
		capability := "chat"
		// The list does not say what a model can do; all of its embedding models are of such a family.
		if strings.Contains(model.Details.Family, "bert") {
			capability = "embed"
		}
		models = append(models, provider.ModelInfo{Id: model.Name, OwnedBy: "ollama", Capabilities: []string{capability}})
	}
	return models, nil
}

// Complete starts an answer.
func (ollama) Complete(request provider.ChatRequest) (provider.Completion, *provider.Problem) {
	settings, problem := configuration()
	if problem != nil {
		return nil, problem
	}
	path, body, problem := translate(request, settings)
	if problem != nil {
		return nil, problem
	}
	response, problem := settings.send("POST", path, body)
	if problem != nil {
		return nil, problem
	}
	return &answer{response: response}, nil
}

// An answer under way.
type answer struct {
	response *reply
	state    wire.Answer
}

// Next waits for a line that says something.
func (a *answer) Next() ([]provider.Chunk, bool, *provider.Problem) {
	if a.state.Ended() {
		return nil, false, nil
	}
	for {
		line, problem := a.response.ReadLine().Get()
		if problem != nil {
			return nil, false, problem
		}
		if !line.IsSome() {
			message := "the upstream ended its answer in the middle"
			return nil, false, problems.Unavailable(message).WithCode("stream_cut")
		}
		events, err := a.state.Take(line.Some())
		if err != nil {
			return nil, false, broken(err)
		}
		if len(events) > 0 {
			return chunks(events), true, nil
		}
	}
}

// Cancel closes the connection, and with it the work upstream.
func (a *answer) Cancel() { a.response.Drop() }

func broken(err error) *provider.Problem {
	var failed *wire.Failed
	if errors.As(err, &failed) {
		return problems.Unavailable("the upstream failed while it answered").WithLogDetail(failed.Reason)
	}
	return problems.Unavailable("the upstream's answer is none of Ollama's").WithCode("malformed_stream").WithLogDetail(err.Error())
}

func chunks(events []wire.Event) []provider.Chunk {
	var said []provider.Chunk
	for _, event := range events {
		switch event.Kind {
		case wire.Text:
			said = append(said, provider.Text(0, event.Text))
		case wire.Thinking:
			said = append(said, provider.Chunk{Event: chat.MakeChatEventReasoning(event.Text)})
		case wire.Call:
			delta := chat.ToolCallDelta{
				Index: event.Index, Id: types.Some(fmt.Sprintf("call_%d", event.Index)), Name: types.Some(event.Name), Arguments: event.Text,
			}
			said = append(said, provider.Chunk{Event: chat.MakeChatEventToolCall(delta)})
		case wire.Done:
			used := provider.Usage{InputTokens: event.Read, OutputTokens: event.Said}
			said = append(said, provider.Finish(0, finish(event.Text)), provider.Used(used))
		}
	}
	return said
}

func finish(reason string) chat.FinishReason {
	switch reason {
	case "stop", "":
		return chat.MakeFinishReasonStop()
	case "length":
		return chat.MakeFinishReasonLength()
	case "tool_calls":
		return chat.MakeFinishReasonToolCalls()
	}
	return chat.MakeFinishReasonOther(reason)
}

// Embed embeds texts.
func (ollama) Embed(request provider.EmbedRequest) (provider.EmbedResponse, *provider.Problem) {
	var none provider.EmbedResponse
	settings, problem := configuration()
	if problem != nil {
		return none, problem
	}
	if len(request.Inputs) == 0 {
		return none, problems.InvalidRequest("there is nothing to embed").WithParam("input")
	}
	body := wire.Embed{Model: request.Model, KeepAlive: settings.keepAlive()}
	for place, input := range request.Inputs {
		if input.Tag() != 0 {
			return none, refuse(fmt.Sprintf("input[%d]", place), "this provider embeds texts, not token ids")
		}
		body.Input = append(body.Input, input.Text())
	}
	if len(request.Extra) > 0 {
		return none, unknown(request.Extra[0].F0)
	}
	if request.Dimensions.IsSome() {
		wanted := request.Dimensions.Some()
		body.Dimensions = &wanted
	}
	var embedded wire.Embedded
	if problem := settings.ask("POST", "/api/embed", body, &embedded); problem != nil {
		return none, problem
	}
	return collect(request, embedded)
}

// All rows as one list, once they are what was asked for.
func collect(request provider.EmbedRequest, embedded wire.Embedded) (provider.EmbedResponse, *provider.Problem) {
	answer := provider.EmbedResponse{Usage: provider.Usage{InputTokens: embedded.PromptEvalCount}}
	if len(embedded.Embeddings) != len(request.Inputs) || len(request.Inputs) == 0 {
		return answer, problems.Unavailable("the upstream answered with another number of vectors than was asked for")
	}
	width := len(embedded.Embeddings[0])
	if wanted := request.Dimensions.Or(uint32(width)); wanted != uint32(width) {
		return answer, refuse("dimensions", fmt.Sprintf("the model's vectors have %d dimensions, not %d", width, wanted))
	}
	answer.Dimensions = uint32(width)
	answer.Covered = shares(request, embedded.PromptEvalCount)
	for _, vector := range embedded.Embeddings {
		if len(vector) != width || width == 0 {
			return answer, problems.Unavailable("the upstream's vectors differ in length")
		}
		answer.Vectors = append(answer.Vectors, vector...)
	}
	return answer, nil
}

// The server counts tokens for all inputs together and cuts none, so each is covered whole: the count is shared out by
// length, which is exact for one input and close for several.
func shares(request provider.EmbedRequest, tokens uint64) []uint32 {
	var bytes, before, given uint64
	for _, input := range request.Inputs {
		bytes += uint64(len(input.Text()))
	}
	covered := make([]uint32, 0, len(request.Inputs))
	for _, input := range request.Inputs {
		before += uint64(len(input.Text()))
		upTo := tokens * before / max(bytes, 1)
		covered = append(covered, uint32(upTo-given))
		given = upTo
	}
	return covered
}
