package wire

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

func take(t *testing.T, lines ...string) ([]Event, *Answer) {
	t.Helper()
	answer := &Answer{}
	var all []Event
	for _, line := range lines {
		events, err := answer.Take(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, events...)
	}
	return all, answer
}

func TestAnAnswerIsItsPiecesItsCallsAndItsEnd(t *testing.T) {
	events, answer := take(t,
		`{"model":"m","message":{"role":"assistant","thinking":"hm","content":""},"done":false}`,
		``,
		`{"message":{"content":"né"},"done":false}`,
		`{"message":{"content":"","tool_calls":[{"function":{"name":"a","arguments":{"x":1}}},{"function":{"name":"b"}}]},"done":false}`,
		`{"message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":3}`,
		`{"message":{"content":"after the end"},"done":false}`,
	)
	want := []Event{
		{Kind: Thinking, Text: "hm"},
		{Kind: Text, Text: "né"},
		{Kind: Call, Text: `{"x":1}`, Name: "a"},
		{Kind: Call, Text: "{}", Index: 1, Name: "b"},
		{Kind: Done, Text: "tool_calls", Read: 7, Said: 3},
	}
	if !reflect.DeepEqual(events, want) || !answer.Ended() {
		t.Fatalf("%+v", events)
	}
}

func TestARawCompletionIsReadToo(t *testing.T) {
	events, answer := take(t, `{"response":"x","done":false}`, `{"response":"","done":true,"done_reason":"length"}`)
	want := []Event{{Kind: Text, Text: "x"}, {Kind: Done, Text: "length"}}
	if !reflect.DeepEqual(events, want) || !answer.Ended() {
		t.Fatalf("%+v", events)
	}
}

func TestAStreamThatBreaksIsNoEnd(t *testing.T) {
	if _, answer := take(t, `{"message":{"content":"half"},"done":false}`); answer.Ended() {
		t.Fatal("half an answer passed for a whole one")
	}
	for _, line := range []string{"<html>", "{}", `{"message":`, "[]"} {
		if _, err := (&Answer{}).Take(line); !errors.Is(err, ErrGarbled) {
			t.Errorf("%s: %v", line, err)
		}
	}
	var failed *Failed
	if _, err := (&Answer{}).Take(`{"error":"out of memory"}`); !errors.As(err, &failed) || failed.Reason != "out of memory" {
		t.Error(err)
	}
}

func TestRefusalsHaveTheirClass(t *testing.T) {
	for _, of := range []struct {
		status uint16
		body   string
		class  Class
	}{
		{404, `{"error":"model \"x\" not found"}`, NoModel},
		{400, `{"error":"the input length exceeds the context length"}`, TooLong},
		{500, `{"error":"exceeds the available context size"}`, TooLong},
		{400, `{"error":"invalid format"}`, Invalid},
		{401, "", Refused},
		{429, "{}", Busy},
		{503, "busy", Full},
		{500, "<html>", Down},
		{502, "", Down},
	} {
		if class, _ := Classify(of.status, []byte(of.body)); class != of.class {
			t.Errorf("%+v: %v", of, class)
		}
	}
}

func TestABodyHasWhatWasSaidAndNothingElse(t *testing.T) {
	body, err := json.Marshal(Chat{
		Model:    "m",
		Messages: []Message{{Role: "user", Content: "hi", Images: [][]byte{{1, 2}}}},
		Options:  map[string]any{"temperature": 0.0},
		Think:    false,
		Stream:   true,
	})
	want := `{"model":"m","messages":[{"role":"user","content":"hi","images":["AQI="]}],"think":false,"options":{"temperature":0},"stream":true}`
	if err != nil || string(body) != want {
		t.Fatalf("%s %v", body, err)
	}
}
