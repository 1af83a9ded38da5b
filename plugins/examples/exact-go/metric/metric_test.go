package metric

import (
	"math"
	"strings"
	"testing"
)

func value(t *testing.T, name, params, output string, references ...string) float64 {
	t.Helper()
	metric, err := New(name, params)
	if err != nil {
		t.Fatal(err.Message)
	}
	value, _, err := metric.Judge(output, references)
	if err != nil {
		t.Fatal(err.Message)
	}
	return value
}

func TestAllStepsAreSquads(t *testing.T) {
	for text, normal := range map[string]string{
		"The  Eiffel-Tower, a tower!": "eiffeltower tower",
		"An\tapple\n":                 "apple",
		"«The» anthem":                "« » anthem",
		"ÉCOLE the_end":               "école theend",
		"a an the":                    "",
		"theatre of a.n":              "theatre of",
		"ΟΔΟΣ ΣΑΣ Σ":                  "οδος σας σ",
		"İstanbul":                    "i\u0307stanbul",
		"x\u00a0 y\u2003z":            "x y z",
	} {
		if got := squad.apply(text); got != normal {
			t.Errorf("%q: %q, not %q", text, got, normal)
		}
	}
}

func TestEachStepCanStandAlone(t *testing.T) {
	text := " The  cat, A. "
	for _, of := range []struct {
		steps Steps
		want  string
	}{
		{Steps{}, text},
		{Steps{lowered: true}, " the  cat, a. "},
		{Steps{unpunctuated: true}, " The  cat A "},
		{Steps{withoutArticles: true}, "    cat,  . "},
		{Steps{spaced: true}, "The cat, A."},
	} {
		if got := of.steps.apply(text); got != of.want {
			t.Errorf("%q, not %q", got, of.want)
		}
	}
}

func TestTheThreeMetrics(t *testing.T) {
	between := `{"unit":"words","min":2,"max":3}`
	for _, of := range []struct {
		name, params, output string
		references           []string
		want                 float64
	}{
		{"exact_match", "", "The cat.", []string{"dog", "cat"}, 1},
		{"exact_match", "{}", "The cat", []string{"cats"}, 0},
		{"exact_match", `{"normalise":[]}`, "Cat", []string{"cat"}, 0},
		{"exact_match", `{"normalise":["case"]}`, "Cat", []string{"cat"}, 1},
		{"token_f1", "", "the red big cat", []string{"big cat on mat"}, 4.0 / 7},
		{"token_f1", "", "x x y", []string{"x y y"}, 2.0 * 2 / 6},
		{"token_f1", "", "x", []string{"y", "x z", "x"}, 1},
		{"token_f1", "", "the", []string{"a"}, 1},
		{"token_f1", "", "", []string{"word"}, 0},
		{"length", "", "né e", nil, 4},
		{"length", `{"unit":"bytes"}`, "né e", nil, 5},
		{"length", `{"unit":"words"}`, "né e", nil, 2},
		{"length", between, "a", nil, 0},
		{"length", between, "a b", nil, 1},
		{"length", between, "a b c d", nil, 0},
	} {
		if got := value(t, of.name, of.params, of.output, of.references...); math.Abs(got-of.want) > 1e-12 {
			t.Errorf("%+v: %v", of, got)
		}
	}
}

func TestWrongNamesAndParametersAreTold(t *testing.T) {
	if _, err := New("bleu", "{}"); err == nil || err.Class != NotFound {
		t.Fatal(err)
	}
	for _, of := range [][2]string{
		{"exact_match", `{"normalise":["accents"]}`}, {"exact_match", `{"normalise":null}`}, {"token_f1", `{"case":true}`},
		{"length", `{"min":3,"max":2}`}, {"length", `{"unit":"tokens"}`}, {"length", `{"unit":null}`}, {"length", `{"min":-1}`},
		{"length", `{"Min":1}`}, {"length", "[]x"}, {"length", "{}x"}, {"length", "null"},
	} {
		if _, err := New(of[0], of[1]); err == nil || err.Class != InvalidRequest || !strings.HasPrefix(err.Param, "params") {
			t.Errorf("%v: %+v", of, err)
		}
	}
}

func TestWhatCannotBeJudgedIsTold(t *testing.T) {
	metric, _ := New("token_f1", "{}")
	huge := strings.Repeat("x", maxTextBytes+1)
	for _, of := range []struct {
		output     string
		references []string
		param      string
		class      Class
	}{
		{"x", nil, "references", InvalidRequest},
		{huge, []string{"x"}, "output", TooLarge},
		{"x", []string{"y", huge}, "references[1]", TooLarge},
		{"x", make([]string, 257), "references", TooLarge},
	} {
		if _, _, err := metric.Judge(of.output, of.references); err == nil || err.Param != of.param || err.Class != of.class {
			t.Errorf("%s: %+v", of.param, err)
		}
	}
}

func TestMeanAndSpreadAgreeWithTwoPasses(t *testing.T) {
	values := []float64{3, -1e6, 7.5, 1e6, 0, 2}
	var tally Tally
	sum, squares := 0.0, 0.0
	for _, value := range values {
		tally.Add(value)
		sum += value
	}
	mean := sum / float64(len(values))
	for _, value := range values {
		squares += (value - mean) * (value - mean)
	}
	if math.Abs(tally.Mean()-mean) > 1e-6 || math.Abs(tally.Deviation()-math.Sqrt(squares/6)) > 1e-4 {
		t.Fatal(tally)
	}
}
