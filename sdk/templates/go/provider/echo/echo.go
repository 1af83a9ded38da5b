// Package echo is the answer: a greeting and what was said, word by word. It knows nothing of the host.
package echo

import "strings"

// Answer is what is still to be said.
type Answer struct {
	words []string
	// Said counts the words of the whole answer; Cut says whether it would have gone on.
	Said int
	Cut  bool
}

// New answers a text with at most so many words.
func New(greeting, text string, most uint32) *Answer {
	words := strings.Fields(greeting + " " + text)
	cut := uint64(len(words)) > uint64(most)
	if cut {
		words = words[:most]
	}
	return &Answer{words: words, Said: len(words), Cut: cut}
}

// Next is the next word, with the space before it; false at the end.
func (a *Answer) Next() (string, bool) {
	if len(a.words) == 0 {
		return "", false
	}
	word := a.words[0]
	if len(a.words) < a.Said {
		word = " " + word
	}
	a.words = a.words[1:]
	return word, true
}

// Words counts them; a word is a token here.
func Words(text string) int { return len(strings.Fields(text)) }
