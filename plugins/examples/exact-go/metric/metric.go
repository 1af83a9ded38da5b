// Package metric has the three metrics: their parameters, their limits, their value for one output, and the mean of many.
// It knows nothing of the host.
package metric

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// Bytes of an output or a reference: forty times a long answer. Judging one takes milliseconds.
	maxTextBytes = 1 << 20
	// Right answers of one sample: published sets have ten at most.
	maxReferences = 256
	// Bytes of the references of one sample: each is compared with the output.
	maxReferenceBytes = 4 << 20
)

// Class is whose fault an error is, or what it is about.
type Class int

// The classes.
const (
	InvalidRequest Class = iota
	NotFound
	TooLarge
)

// Error is told to the caller.
type Error struct {
	Class                Class
	Message, Param, Code string
}

// Metric is one of the three with its parameters.
type Metric struct {
	Name     string
	steps    Steps
	unit     string
	min, max *uint64
}

// NormalisingSchema is the JSON Schema of the parameters of exact_match and token_f1.
const NormalisingSchema = `{"type":"object","additionalProperties":false,"properties":{"normalise":{"description":"What is evened out before texts are compared; absent is all of it","type":"array","uniqueItems":true,"items":{"enum":["case","punctuation","articles","whitespace"]}}}}`

// LengthSchema is the JSON Schema of the parameters of length.
const LengthSchema = `{"type":"object","additionalProperties":false,"properties":{"unit":{"enum":["characters","words","bytes"],"default":"characters"},"min":{"description":"The score is 1 from here on, else 0","type":"integer","minimum":0},"max":{"description":"The score is 1 up to here, else 0","type":"integer","minimum":0}}}`

// New is the metric of this name with these parameters, a JSON object; an empty text is one without entries.
func New(name, params string) (Metric, *Error) {
	metric := Metric{Name: name, steps: squad, unit: "characters"}
	keys := map[string]func(json.RawMessage) error{}
	switch name {
	case "exact_match", "token_f1":
		keys["normalise"] = metric.steps.read
	case "length":
		keys["unit"] = metric.readUnit
		keys["min"] = func(value json.RawMessage) error { return json.Unmarshal(value, &metric.min) }
		keys["max"] = func(value json.RawMessage) error { return json.Unmarshal(value, &metric.max) }
	default:
		message := fmt.Sprintf("there is no metric `%s`; there are `exact_match`, `token_f1` and `length`", name)
		return metric, &Error{Class: NotFound, Message: message, Param: "metric"}
	}
	if err := read(params, keys); err != nil {
		return metric, &Error{Message: "params: " + err.Error(), Param: "params"}
	}
	if metric.min != nil && metric.max != nil && *metric.min > *metric.max {
		message := "params.min is larger than params.max: no output could pass"
		return metric, &Error{Message: message, Param: "params.min"}
	}
	return metric, nil
}

// Hands each entry of a JSON object to its key's reader; a key that has none is an error.
func read(params string, keys map[string]func(json.RawMessage) error) error {
	if strings.TrimSpace(params) == "" {
		return nil
	}
	var entries map[string]json.RawMessage
	decoder := json.NewDecoder(strings.NewReader(params))
	if err := decoder.Decode(&entries); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("something stands behind the object")
	}
	if entries == nil {
		return fmt.Errorf("null is no object")
	}
	for name, value := range entries {
		reader, known := keys[name]
		if !known {
			return fmt.Errorf("there is no parameter `%s`", name)
		}
		if err := reader(value); err != nil {
			return fmt.Errorf("`%s`: %w", name, err)
		}
	}
	return nil
}

func (m *Metric) readUnit(value json.RawMessage) error {
	m.unit = ""
	if err := json.Unmarshal(value, &m.unit); err != nil {
		return err
	}
	if !slices.Contains([]string{"characters", "words", "bytes"}, m.unit) {
		return fmt.Errorf("a unit is `characters`, `words` or `bytes`")
	}
	return nil
}

// TellsSpread says whether the spread is told beside the mean: of values that are more than yes or no.
func (m *Metric) TellsSpread() bool {
	return m.Name == "token_f1" || m.Name == "length" && m.min == nil && m.max == nil
}

// Judge gives the value for one output, and which reference gave it; -1 where none did.
func (m *Metric) Judge(output string, references []string) (float64, int, *Error) {
	if err := m.check(output, references); err != nil {
		return 0, -1, err
	}
	if m.Name == "length" {
		return m.length(output), -1, nil
	}
	output = m.steps.apply(output)
	best, place := 0.0, -1
	for index, reference := range references {
		reference = m.steps.apply(reference)
		value := 0.0
		if m.Name == "token_f1" {
			value = tokenF1(output, reference)
		} else if output == reference {
			value = 1
		}
		if value > best {
			best, place = value, index
		}
	}
	return best, place, nil
}

// Whether a sample can be judged at all.
func (m *Metric) check(output string, references []string) *Error {
	tooLong := func(what string) *Error {
		return &Error{Class: TooLarge, Message: fmt.Sprintf("`%s` has more than %d bytes; shorten it", what, maxTextBytes), Param: what}
	}
	if len(output) > maxTextBytes {
		return tooLong("output")
	}
	if m.Name == "length" {
		return nil
	}
	if len(references) == 0 {
		message := fmt.Sprintf("`%s` needs at least one reference", m.Name)
		return &Error{Message: message, Param: "references", Code: "references_missing"}
	}
	if len(references) > maxReferences {
		return &Error{Class: TooLarge, Message: fmt.Sprintf("a sample has at most %d references", maxReferences), Param: "references"}
	}
	sum := 0
	for index, reference := range references {
		if len(reference) > maxTextBytes {
			return tooLong(fmt.Sprintf("references[%d]", index))
		}
		sum += len(reference)
	}
	if sum > maxReferenceBytes {
		message := fmt.Sprintf("the references of a sample have at most %d bytes together", maxReferenceBytes)
		return &Error{Class: TooLarge, Message: message, Param: "references"}
	}
	return nil
}

func (m *Metric) length(output string) float64 {
	var length uint64
	switch m.unit {
	case "words":
		length = uint64(len(strings.Fields(output)))
	case "bytes":
		length = uint64(len(output))
	default:
		length = uint64(utf8.RuneCountInString(output))
	}
	if m.min == nil && m.max == nil {
		return float64(length)
	}
	if m.min != nil && length < *m.min || m.max != nil && length > *m.max {
		return 0
	}
	return 1
}

// The harmonic mean of precision and recall over bags of tokens. Where one of the bags is empty: 1 if both are, else 0, as
// the script of SQuAD 2.0 has it.
func tokenF1(output, reference string) float64 {
	said, right := strings.Fields(output), strings.Fields(reference)
	if len(said) == 0 || len(right) == 0 {
		if len(said) == len(right) {
			return 1
		}
		return 0
	}
	bag := make(map[string]int, len(right))
	for _, token := range right {
		bag[token]++
	}
	common := 0
	for _, token := range said {
		if bag[token] > 0 {
			bag[token]--
			common++
		}
	}
	return 2 * float64(common) / float64(len(said)+len(right))
}

// Tally is what a run remembers of its samples: counts, mean and spread, one value at a time (Welford 1962).
type Tally struct {
	Judged, Failed uint64
	mean, squares  float64
}

// Add takes the value of one more sample.
func (t *Tally) Add(value float64) {
	t.Judged++
	before := value - t.mean
	t.mean += before / float64(t.Judged)
	t.squares += before * (value - t.mean)
}

// Fail takes a sample that could not be judged.
func (t *Tally) Fail() { t.Failed++ }

// Mean is that of the judged samples.
func (t *Tally) Mean() float64 { return t.mean }

// Deviation is that of these samples, not an estimate for others.
func (t *Tally) Deviation() float64 { return math.Sqrt(t.squares / float64(t.Judged)) }
