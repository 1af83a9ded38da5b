package main

import (
	"encoding/json"
	"fmt"
	"strings"

	chat "encaje/imports/encaje_common_chat"
	problems "encaje/imports/encaje_common_errors"
	"encaje/provider"
	"encaje/wit/types"

	"provider-ollama/wire"
)

func refuse(param, message string) *provider.Problem {
	return problems.Unsupported(message).WithParam(param)
}

func unknown(name string) *provider.Problem {
	return refuse(name, fmt.Sprintf("this provider does not know `%s`; leave it out", name))
}

// What is asked, in the server's words, and where to send it. What the server cannot do is refused by name.
func translate(request provider.ChatRequest, settings config) (string, *wire.Chat, *provider.Problem) {
	body := &wire.Chat{Model: request.Model, Stream: true, KeepAlive: settings.keepAlive()}
	if problem := sample(request.Sampling, body); problem != nil {
		return "", nil, problem
	}
	if problem := offerTools(request, body); problem != nil {
		return "", nil, problem
	}
	if problem := shape(request, body); problem != nil {
		return "", nil, problem
	}
	for _, entry := range request.Extra {
		switch entry.F0 {
		case "keep_alive":
			body.KeepAlive = json.RawMessage(entry.F1)
		case "num_ctx":
			body.Options["num_ctx"] = json.RawMessage(entry.F1)
		default:
			return "", nil, unknown(entry.F0)
		}
	}
	switch request.Input.Tag() {
	case chat.Input_Prompt:
		body.Prompt, body.Raw = request.Input.Prompt(), true
		return "/api/generate", body, nil
	case chat.Input_Tokens:
		return "", nil, refuse("prompt", "this provider reads text, not token ids")
	}
	messages, problem := converse(request.Input.Messages())
	body.Messages = messages
	return "/api/chat", body, problem
}

func sample(sampling chat.Sampling, body *wire.Chat) *provider.Problem {
	switch {
	case sampling.Choices != 1:
		return refuse("n", "this provider gives one answer")
	case len(sampling.LogitBias) > 0:
		return unknown("logit_bias")
	case sampling.Logprobs.IsSome():
		return unknown("logprobs")
	}
	body.Options = map[string]any{}
	set(body, "temperature", sampling.Temperature)
	set(body, "top_p", sampling.TopP)
	set(body, "top_k", sampling.TopK)
	set(body, "min_p", sampling.MinP)
	set(body, "frequency_penalty", sampling.FrequencyPenalty)
	set(body, "presence_penalty", sampling.PresencePenalty)
	set(body, "repeat_penalty", sampling.RepetitionPenalty)
	set(body, "seed", sampling.Seed)
	set(body, "num_predict", sampling.MaxTokens)
	if len(sampling.Stop) > 0 {
		body.Options["stop"] = sampling.Stop
	}
	return nil
}

func set[T any](body *wire.Chat, name string, value types.Option[T]) {
	if value.IsSome() {
		body.Options[name] = value.Some()
	}
}

func offerTools(request provider.ChatRequest, body *wire.Chat) *provider.Problem {
	if request.ParallelToolCalls.IsSome() && !request.ParallelToolCalls.Some() {
		return refuse("parallel_tool_calls", "this provider cannot hold the model to one tool at once")
	}
	if request.ToolChoice.IsSome() {
		switch request.ToolChoice.Some().Tag() {
		case chat.ToolChoice_Forbidden:
			return nil
		case chat.ToolChoice_Required, chat.ToolChoice_Named:
			return refuse("tool_choice", "this provider cannot make the model call a tool")
		}
	}
	for place, tool := range request.Tools {
		if tool.Strict {
			return refuse(fmt.Sprintf("tools[%d].strict", place), "this provider cannot promise arguments that match the schema")
		}
		if !json.Valid([]byte(tool.Parameters)) {
			return problems.InvalidRequest("a tool's parameters are not JSON").WithParam(fmt.Sprintf("tools[%d].parameters", place))
		}
		body.Tools = append(body.Tools, wire.Tool{Type: "function", Function: wire.Function{
			Name: tool.Name, Description: tool.Description.Or(""), Parameters: json.RawMessage(tool.Parameters),
		}})
	}
	return nil
}

// The answer's format, and how long to think.
func shape(request provider.ChatRequest, body *wire.Chat) *provider.Problem {
	switch format := request.ResponseFormat; format.Tag() {
	case chat.ResponseFormat_Json:
		body.Format = json.RawMessage(`"json"`)
	case chat.ResponseFormat_JsonSchema:
		var wanted struct {
			Schema json.RawMessage `json:"schema"`
		}
		if err := json.Unmarshal([]byte(format.JsonSchema()), &wanted); err != nil || len(wanted.Schema) == 0 {
			return problems.InvalidRequest("the schema of the answer is missing or not JSON").WithParam("response_format.json_schema.schema")
		}
		body.Format = wanted.Schema
	case chat.ResponseFormat_Other:
		return unknown("response_format")
	}
	if !request.ReasoningEffort.IsSome() {
		return nil
	}
	switch effort := request.ReasoningEffort.Some(); effort {
	case "none":
		body.Think = false
	case "low", "medium", "high":
		body.Think = effort
	default:
		return refuse("reasoning_effort", "this provider knows the efforts `none`, `low`, `medium` and `high`")
	}
	return nil
}

func converse(messages []chat.Message) ([]wire.Message, *provider.Problem) {
	converted := make([]wire.Message, 0, len(messages))
	// The server wants the name of the tool that a result is of.
	tools := map[string]string{}
	for at, message := range messages {
		one := wire.Message{Role: role(message.Role), ToolName: tools[message.ToolCallId.Or("")]}
		for place, part := range message.Content {
			if problem := add(&one, part.Body, tools); problem != nil {
				return nil, problem.WithParam(fmt.Sprintf("messages[%d].content[%d]", at, place))
			}
		}
		converted = append(converted, one)
	}
	return converted, nil
}

func role(role chat.Role) string {
	switch role.Tag() {
	case chat.Role_System, chat.Role_Developer:
		return "system"
	case chat.Role_Assistant:
		return "assistant"
	case chat.Role_Tool:
		return "tool"
	case chat.Role_Other:
		return role.Other()
	}
	return "user"
}

// Puts one piece into a message.
func add(message *wire.Message, body chat.PartBody, tools map[string]string) *provider.Problem {
	switch body.Tag() {
	case chat.PartBody_Text:
		message.Content += body.Text()
	case chat.PartBody_Refusal:
		message.Content += body.Refusal()
	case chat.PartBody_Reasoning:
		message.Thinking += body.Reasoning()
	case chat.PartBody_Media:
		media := body.Media()
		if !strings.HasPrefix(media.Mime, "image/") {
			return problems.Unsupported(fmt.Sprintf("this provider takes pictures, not `%s`", media.Mime))
		}
		message.Images = append(message.Images, media.Bytes)
	case chat.PartBody_ToolCall:
		wanted := body.ToolCall()
		var call wire.ToolCall
		call.Function.Name, call.Function.Arguments = wanted.Name, json.RawMessage(wanted.Arguments)
		if !json.Valid(call.Function.Arguments) {
			return problems.InvalidRequest("the arguments of a tool call are not JSON")
		}
		message.ToolCalls = append(message.ToolCalls, call)
		tools[wanted.Id] = wanted.Name
	default:
		return problems.Unsupported("this provider takes text, pictures inline and tool calls alone")
	}
	return nil
}
