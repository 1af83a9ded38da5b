// Package words is the metric: whether an answer has as many words as it should. It knows nothing of the host.
package words

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Params is the JSON Schema of the metric's parameters; people read it in the list of metrics.
const Params = `{"type":"object","additionalProperties":false,"properties":{"min":{"type":"integer","minimum":0,"maximum":4294967295,"default":1},"max":{"type":"integer","minimum":0,"maximum":4294967295}}}`

// Range is how many words an answer should have.
type Range struct {
	Min uint32 `json:"min"`
	Max uint32 `json:"max"`
}

// Read takes the parameters, an object of JSON or an empty text; max holds where they say nothing.
func Read(params string, max uint32) (Range, error) {
	read := Range{Min: 1, Max: max}
	if strings.TrimSpace(params) == "" {
		params = "{}"
	}
	if params = strings.TrimSpace(params); params[0] != '{' || !json.Valid([]byte(params)) {
		return read, fmt.Errorf("params must be a JSON object")
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(params)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return read, fmt.Errorf("params: %w", err)
	}
	if read.Min > read.Max {
		return read, fmt.Errorf("params.min is %d, more than the maximum %d: no answer could pass", read.Min, read.Max)
	}
	return read, nil
}

// Score is 1 where the answer is in the range, else 0, and how many words it has.
func (r Range) Score(answer string) (float64, int) {
	count := len(strings.Fields(answer))
	if uint64(count) < uint64(r.Min) || uint64(count) > uint64(r.Max) {
		return 0, count
	}
	return 1, count
}
