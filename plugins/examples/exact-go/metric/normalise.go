package metric

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// Steps make texts comparable, as the evaluation script of SQuAD does (Rajpurkar et al. 2016): lower case, then no
// punctuation, then no English articles, then single spaces. Each can be left out; their order is fixed.
type Steps struct{ lowered, unpunctuated, withoutArticles, spaced bool }

var squad = Steps{true, true, true, true}

func (s *Steps) read(value json.RawMessage) error {
	var names []string
	if err := json.Unmarshal(value, &names); err != nil {
		return err
	}
	if names == nil {
		return fmt.Errorf("null is no list")
	}
	*s = Steps{}
	for _, name := range names {
		step := map[string]*bool{
			"case": &s.lowered, "punctuation": &s.unpunctuated, "articles": &s.withoutArticles, "whitespace": &s.spaced,
		}[name]
		if step == nil {
			return fmt.Errorf("there is no step `%s`; there are `case`, `punctuation`, `articles` and `whitespace`", name)
		}
		*step = true
	}
	return nil
}

func (s *Steps) apply(text string) string {
	if s.lowered {
		text = lower(text)
	}
	if s.unpunctuated {
		text = strings.Map(func(r rune) rune {
			if r < 128 && strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r) {
				return -1
			}
			return r
		}, text)
	}
	if s.withoutArticles {
		text = withoutArticles(text)
	}
	if s.spaced {
		text = strings.Join(strings.Fields(text), " ")
	}
	return text
}

// Lower case with the two rules of Unicode that are more than one letter for another: İ becomes i and a dot above, Σ
// becomes ς at the end of a word.
func lower(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	runes := []rune(text)
	for place, r := range runes {
		switch {
		case r == 'İ':
			out.WriteString("i\u0307")
		case r == 'Σ' && cased(runes[:place], -1) && !cased(runes[place+1:], 1):
			out.WriteRune('ς')
		default:
			out.WriteRune(unicode.ToLower(r))
		}
	}
	return out.String()
}

// Whether the nearest rune that counts is a letter with a case.
func cased(runes []rune, direction int) bool {
	for place := range runes {
		r := runes[place]
		if direction < 0 {
			r = runes[len(runes)-1-place]
		}
		if strings.ContainsRune("'.:^`¨·՟״‧︓﹕：’‘․﹒＇．", r) || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) {
			continue
		}
		return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
	}
	return false
}

// Each article becomes a space, wherever it is a word of its own.
func withoutArticles(text string) string {
	inWord := func(r rune) bool {
		return r == '_' || unicode.In(r, unicode.L, unicode.N, unicode.Other_Alphabetic)
	}
	var out strings.Builder
	for len(text) > 0 {
		end := strings.IndexFunc(text, func(r rune) bool { return !inWord(r) })
		if end < 0 {
			end = len(text)
		}
		word := text[:end]
		text = text[end:]
		if isArticle(word) {
			word = " "
		}
		out.WriteString(word)
		next := strings.IndexFunc(text, inWord)
		if next < 0 {
			next = len(text)
		}
		out.WriteString(text[:next])
		text = text[next:]
	}
	return out.String()
}

// Of ASCII letters alone, whatever their case.
func isArticle(word string) bool {
	if len(word) > 3 {
		return false
	}
	for _, article := range []string{"a", "an", "the"} {
		if len(word) == len(article) && strings.EqualFold(word, article) {
			return true
		}
	}
	return false
}
