package echo

import (
	"strings"
	"testing"
)

func said(answer *Answer) (words []string) {
	for {
		word, more := answer.Next()
		if !more {
			return words
		}
		words = append(words, word)
	}
}

func TestItEchoesWordByWord(t *testing.T) {
	answer := New("You said:", "héllo  wörld", 10)
	if words := said(answer); strings.Join(words, "|") != "You| said:| héllo| wörld" || answer.Said != 4 || answer.Cut {
		t.Fatal(words, answer)
	}
}

func TestAnAnswerEndsAtTheLimit(t *testing.T) {
	answer := New("You said:", "one two", 3)
	if words := said(answer); strings.Join(words, "") != "You said: one" || !answer.Cut || answer.Said != 3 {
		t.Fatal(words, answer)
	}
	if words := said(New("a", "b", 0)); len(words) != 0 {
		t.Fatal(words)
	}
}
