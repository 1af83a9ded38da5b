package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Kind is what an event is.
type Kind int

// The kinds.
const (
	Text Kind = iota
	Thinking
	Call
	Done
)

// Event is something that the model says. Which fields count follows from the kind.
type Event struct {
	Kind Kind
	// Text, Thinking: the piece. Call: the arguments, a JSON object. Done: why, e.g. "stop", "length", "tool_calls".
	Text string
	// Call: which one, from 0, and the function's name.
	Index uint32
	Name  string
	// Done: tokens read and said.
	Read, Said uint64
}

// ErrGarbled is for a line that is none of the protocol's; the stream should be given up.
var ErrGarbled = errors.New("a line is no event of Ollama's")

// Failed is an error that the server tells inside its stream.
type Failed struct{ Reason string }

func (f *Failed) Error() string { return f.Reason }

// Answer puts an answer's lines together. Its zero value is ready.
type Answer struct {
	calls uint32
	done  bool
}

type line struct {
	Message struct {
		Content   string     `json:"content"`
		Thinking  string     `json:"thinking"`
		ToolCalls []ToolCall `json:"tool_calls"`
	} `json:"message"`
	Response        *string `json:"response"` // of /api/generate
	Thinking        string  `json:"thinking"`
	Done            *bool   `json:"done"`
	DoneReason      string  `json:"done_reason"`
	PromptEvalCount uint64  `json:"prompt_eval_count"`
	EvalCount       uint64  `json:"eval_count"`
	Error           string  `json:"error"`
}

// Take reads one line. The last event is of kind Done; nothing after it counts.
func (a *Answer) Take(text string) ([]Event, error) {
	if a.done || strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var read line
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrGarbled, err)
	}
	if read.Error != "" {
		return nil, &Failed{read.Error}
	}
	if read.Done == nil {
		return nil, fmt.Errorf("%w: it has no `done`", ErrGarbled)
	}
	var events []Event
	say := func(kind Kind, text string) {
		if text != "" {
			events = append(events, Event{Kind: kind, Text: text})
		}
	}
	say(Thinking, read.Message.Thinking+read.Thinking)
	say(Text, read.Message.Content)
	if read.Response != nil {
		say(Text, *read.Response)
	}
	for _, call := range read.Message.ToolCalls {
		arguments := string(call.Function.Arguments)
		if arguments == "" {
			arguments = "{}"
		}
		events = append(events, Event{Kind: Call, Index: a.calls, Name: call.Function.Name, Text: arguments})
		a.calls++
	}
	if *read.Done {
		a.done = true
		reason := read.DoneReason
		if a.calls > 0 && (reason == "stop" || reason == "") {
			reason = "tool_calls"
		}
		events = append(events, Event{Kind: Done, Text: reason, Read: read.PromptEvalCount, Said: read.EvalCount})
	}
	return events, nil
}

// Ended says whether the answer came to its end.
func (a *Answer) Ended() bool { return a.done }

// Class is what a refusal means.
type Class int

// The classes.
const (
	Invalid Class = iota
	TooLong
	NoModel
	Refused
	Busy
	Full
	Down
)

// Classify reads a status of 400 and above and the reason that came with it.
func Classify(status uint16, body []byte) (Class, string) {
	var told struct {
		Error string `json:"error"`
	}
	reason := ""
	if json.Unmarshal(body, &told) == nil {
		reason = told.Error
	}
	words := strings.ToLower(reason)
	switch {
	case status == 404:
		return NoModel, reason
	case status == 401 || status == 403:
		return Refused, reason
	case status == 429:
		return Busy, reason
	case status == 503:
		return Full, reason
	case strings.Contains(words, "context length") || strings.Contains(words, "context size"):
		return TooLong, reason
	case status >= 500:
		return Down, reason
	}
	return Invalid, reason
}
