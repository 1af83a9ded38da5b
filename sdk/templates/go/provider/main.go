// A provider without a model: it answers with its greeting and what was said last. Put your model or upstream where
// echo.Answer is; what it cannot do it refuses by name, and never ignores in silence.
package main

import (
	"encoding/json"
	"fmt"
	"math"

	chat "encaje/imports/encaje_common_chat"
	problems "encaje/imports/encaje_common_errors"
	"encaje/imports/encaje_host_config"
	"encaje/provider"
	"encaje/wit/types"

	"{{name}}/echo"
)

// Words of prompt and answer together; a longer prompt is refused. A word is a token here.
const contextWords = 32768

func main() {}

func init() { provider.Export(plugin{}) }

// What it does not write, provider.Nothing answers with `unsupported`.
type plugin struct{ provider.Nothing }

// The plugin's table of the registry; plugin.toml has its schema and the defaults.
type config struct {
	Greeting string `json:"greeting"`
}

func configuration() (config, *provider.Problem) {
	var found config
	if err := json.Unmarshal([]byte(encaje_host_config.Get()), &found); err != nil {
		return found, problems.Misconfigured("the configuration is not what plugin.toml describes").WithLogDetail(err.Error())
	}
	return found, nil
}

func (plugin) Check() ([]string, *provider.Problem) {
	_, problem := configuration()
	return []string{"chat", "count-tokens"}, problem
}

func (plugin) Models() ([]provider.ModelInfo, *provider.Problem) {
	return []provider.ModelInfo{{
		Id: "{{name}}", OwnedBy: "me", ContextTokens: types.Some(uint32(contextWords)), Capabilities: []string{"chat"},
	}}, nil
}

func (plugin) CountTokens(request provider.ChatRequest) (uint32, *provider.Problem) {
	count, _, problem := read(request.Input)
	return uint32(count), problem
}

func (plugin) Complete(request provider.ChatRequest) (provider.Completion, *provider.Problem) {
	settings, problem := configuration()
	if problem != nil {
		return nil, problem
	}
	if problem := refuseWhatIsNotDone(request); problem != nil {
		return nil, problem
	}
	input, last, problem := read(request.Input)
	if problem != nil {
		return nil, problem
	}
	words := echo.New(settings.Greeting, last, request.Sampling.MaxTokens.Or(math.MaxUint32))
	if input+words.Said > contextWords {
		kind := problems.MakeProblemKindContextExceeded()
		message := fmt.Sprintf("prompt and answer have %d words, the context %d", input+words.Said, contextWords)
		return nil, problems.New(kind, message).WithParam("messages").WithCode("context_length_exceeded")
	}
	return &answer{words: words, input: uint64(input)}, nil
}

// An answer under way.
type answer struct {
	words *echo.Answer
	input uint64
	ended bool
}

func (a *answer) Next() ([]provider.Chunk, bool, *provider.Problem) {
	if word, more := a.words.Next(); more {
		return []provider.Chunk{provider.Text(0, word)}, true, nil
	}
	if a.ended {
		return nil, false, nil
	}
	a.ended = true
	reason := chat.MakeFinishReasonStop()
	if a.words.Cut {
		reason = chat.MakeFinishReasonLength()
	}
	usage := provider.Usage{InputTokens: a.input, OutputTokens: uint64(a.words.Said)}
	return []provider.Chunk{provider.Finish(0, reason), provider.Used(usage)}, true, nil
}

// Cancel has nothing to stop; an upstream's connection would be closed here.
func (a *answer) Cancel() {}

// Temperature, seed and the penalties choose among answers; there is only one here, so each of their values is kept.
func refuseWhatIsNotDone(request provider.ChatRequest) *provider.Problem {
	sampling := request.Sampling
	if sampling.Choices == 0 {
		return problems.InvalidRequest("`n` must be at least 1").WithParam("n")
	}
	forbidden := request.ToolChoice.IsSome() && request.ToolChoice.Some().Tag() == chat.ToolChoice_Forbidden
	for _, asked := range []struct {
		is   bool
		name string
	}{
		{sampling.Choices > 1, "n"},
		{len(sampling.Stop) > 0, "stop"},
		{len(sampling.LogitBias) > 0, "logit_bias"},
		{sampling.Logprobs.IsSome(), "logprobs"},
		{len(request.Tools) > 0 && !forbidden, "tools"},
		{request.ResponseFormat.Tag() != chat.ResponseFormat_Text, "response_format"},
		{request.ReasoningEffort.IsSome(), "reasoning_effort"},
	} {
		if asked.is {
			return unknown(asked.name)
		}
	}
	if len(request.Extra) > 0 {
		return unknown(request.Extra[0].F0)
	}
	return nil
}

func unknown(name string) *provider.Problem {
	return problems.Unsupported(fmt.Sprintf("this provider does not know `%s`; leave it out", name)).WithParam(name)
}

// The words of the prompt, and what was said last by a person.
func read(input chat.Input) (int, string, *provider.Problem) {
	switch input.Tag() {
	case chat.Input_Prompt:
		return echo.Words(input.Prompt()), input.Prompt(), nil
	case chat.Input_Tokens:
		return 0, "", problems.Unsupported("this provider reads text, not token ids").WithParam("prompt")
	}
	count, last := 0, ""
	for at, message := range input.Messages() {
		said := ""
		for place, part := range message.Content {
			if part.Body.Tag() != chat.PartBody_Text {
				param := fmt.Sprintf("messages[%d].content[%d]", at, place)
				return 0, "", problems.Unsupported("this provider reads text alone").WithParam(param)
			}
			said += part.Body.Text() + " "
		}
		count += echo.Words(said)
		if message.Role.Tag() == chat.Role_User {
			last = said
		}
	}
	return count, last, nil
}
