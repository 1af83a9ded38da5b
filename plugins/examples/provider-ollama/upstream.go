package main

import (
	"encoding/json"
	"fmt"

	problems "encaje/imports/encaje_common_errors"
	"encaje/imports/encaje_host_clock"
	"encaje/imports/encaje_host_http"
	"encaje/provider"
	"encaje/retryafter"
	"encaje/wit/types"

	"provider-ollama/wire"
)

type reply = encaje_host_http.Response

const (
	// Bytes of a list of models or of vectors: 2048 vectors of 4096 numbers are 150 MB of JSON, more than a guest's memory
	// should hold.
	maxBodyBytes = 64 << 20
	// Bytes of a refusal: what an operator reads of it.
	maxRefusalBytes = 16 << 10
	// Bytes of one read.
	pieceBytes = 256 << 10
)

// Sends a request and returns an answer whose status is below 400.
func (c config) send(method, path string, body any) (*reply, *provider.Problem) {
	request := encaje_host_http.Request{
		Method: method, Url: c.BaseURL + path, Headers: []types.Tuple2[string, string]{{F0: "accept", F1: "application/json"}},
		ConnectTimeoutMs: types.Some(c.ConnectTimeoutMs), FirstByteTimeoutMs: types.Some(c.FirstByteTimeoutMs),
		TotalTimeoutMs: types.Some(c.TotalTimeoutMs),
	}
	if c.Secret != "" {
		request.Secret = types.Some(c.Secret)
	}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, problems.InvalidRequest("a parameter is not JSON").WithLogDetail(err.Error())
		}
		request.Body = text
		request.Headers = append(request.Headers, types.Tuple2[string, string]{F0: "content-type", F1: "application/json"})
	}
	response, problem := encaje_host_http.Send(request).Get()
	if problem != nil {
		return nil, problem
	}
	if response.Status() >= 400 {
		defer response.Drop()
		return nil, refusal(response)
	}
	return response, nil
}

// Sends a request and reads the whole answer.
func (c config) ask(method, path string, body, answer any) *provider.Problem {
	response, problem := c.send(method, path, body)
	if problem != nil {
		return problem
	}
	defer response.Drop()
	text, problem := read(response, maxBodyBytes)
	if problem != nil {
		return problem
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return problems.Unavailable("the upstream's answer is none of Ollama's").WithLogDetail(err.Error())
	}
	return nil
}

func read(response *reply, limit int) ([]byte, *provider.Problem) {
	var text []byte
	for {
		piece, problem := response.Read(pieceBytes).Get()
		if problem != nil {
			return nil, problem
		}
		if !piece.IsSome() {
			return text, nil
		}
		text = append(text, piece.Some()...)
		if len(text) > limit {
			return nil, problems.TooLarge(fmt.Sprintf("the upstream's answer has more than %d bytes", limit))
		}
	}
}

// What a status of 400 and above means to the caller. The server's own words are for the operator.
func refusal(response *reply) *provider.Problem {
	status := response.Status()
	body, _ := read(response, maxRefusalBytes) // without its reason a refusal is still one
	class, reason := wire.Classify(status, body)
	var problem *provider.Problem
	switch class {
	case wire.NoModel:
		problem = problems.NotFound("the upstream does not have this model").WithParam("model").WithCode("model_not_found")
	case wire.TooLong:
		kind := problems.MakeProblemKindContextExceeded()
		problem = problems.New(kind, "the input does not fit the model's context").WithCode("context_length_exceeded")
	case wire.Refused:
		problem = problems.Misconfigured("the upstream refused the key, or wants one")
	case wire.Busy:
		problem = problems.New(problems.MakeProblemKindRateLimited(), "the upstream is asked too often")
	case wire.Full:
		problem = problems.New(problems.MakeProblemKindOverloaded(), "the upstream has no room now")
	case wire.Down:
		problem = problems.Unavailable(fmt.Sprintf("the upstream failed with status %d", status))
	default:
		problem = problems.InvalidRequest("the upstream refused the request")
	}
	if wait, ok := wait(response); ok {
		problem.WithRetryAfter(wait)
	}
	if reason != "" {
		problem.WithLogDetail(reason)
	}
	return problem.WithUpstreamStatus(status)
}

func wait(response *reply) (uint64, bool) {
	found := map[string]string{}
	for _, header := range response.Headers() {
		found[header.F0] = header.F1
	}
	return retryafter.Milliseconds(found["retry-after"], found["retry-after-ms"], encaje_host_clock.NowUs())
}
