package words

import "testing"

func TestTheBordersBelongToTheRange(t *testing.T) {
	within, err := Read("", 3)
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]float64{"": 0, "a": 1, " a\nb c ": 1, "a b c d": 0} {
		if got, _ := within.Score(answer); got != want {
			t.Errorf("%q: %v", answer, got)
		}
	}
}

func TestParametersThatDoNotFitAreTold(t *testing.T) {
	for _, params := range []string{`{"min":-1}`, `{"min":4}`, `{"least":1}`, "{", "null", "[]", "{} {}"} {
		if _, err := Read(params, 3); err == nil {
			t.Errorf("%s was taken", params)
		}
	}
}
