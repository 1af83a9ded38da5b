// Package lines takes a stream apart: newline-delimited JSON and server-sent events, however the bytes were cut. It parses
// no JSON and knows no transport.
package lines

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"
)

// Why a stream is no lines of text. The stream should be given up.
var (
	ErrTooLong = errors.New("a line is longer than the limit")
	ErrNotUTF8 = errors.New("a line is not UTF-8")
)

// Lines collects bytes until a line is complete.
type Lines struct {
	held  []byte
	limit int
}

// New takes lines of at most limit bytes, their end not counted.
func New(limit int) *Lines { return &Lines{limit: limit} }

// Push returns the lines that these bytes complete, without their ends (\n or \r\n), the empty ones too.
func (l *Lines) Push(piece []byte) ([]string, error) {
	var complete []string
	for {
		end := bytes.IndexByte(piece, '\n')
		rest := piece
		if end >= 0 {
			rest = piece[:end]
		}
		// The \r of an end is not known to be one yet.
		if len(l.held)+len(rest) > l.limit+1 {
			return nil, ErrTooLong
		}
		l.held = append(l.held, rest...)
		if end < 0 {
			return complete, nil
		}
		line, err := l.take()
		if err != nil {
			return nil, err
		}
		complete = append(complete, line)
		piece = piece[end+1:]
	}
}

// Finish returns the last line, where it had no end; empty where there is none.
func (l *Lines) Finish() (string, error) { return l.take() }

func (l *Lines) take() (string, error) {
	line := bytes.TrimSuffix(l.held, []byte("\r"))
	defer func() { l.held = l.held[:0] }()
	if len(line) > l.limit {
		return "", ErrTooLong
	}
	if !utf8.Valid(line) {
		return "", ErrNotUTF8
	}
	return string(line), nil
}

// Event is one event of a server-sent stream.
type Event struct {
	// "message" where the stream names none.
	Name string
	// The lines of data, joined by line ends.
	Data string
}

// Events puts the lines of a server-sent stream together. Its zero value is ready.
type Events struct {
	name string
	data []string
	size int
}

// MaxEventBytes is how much data one event may have: longer ones are no words of a model.
const MaxEventBytes = 16 << 20

// Push takes one line and returns the event that it completes, if it does.
func (e *Events) Push(line string) (*Event, error) {
	if line == "" {
		defer func() { *e = Events{} }()
		if len(e.data) == 0 {
			return nil, nil
		}
		name := e.name
		if name == "" {
			name = "message"
		}
		return &Event{Name: name, Data: strings.Join(e.data, "\n")}, nil
	}
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "event":
		e.name = value
	case "data":
		e.size += len(value) + 1
		if e.size > MaxEventBytes {
			return nil, ErrTooLong
		}
		e.data = append(e.data, value)
	}
	return nil, nil
}
