package retryafter

import "testing"

func TestSecondsDatesAndMilliseconds(t *testing.T) {
	const now = 784111777 * 1_000_000 // Sun, 06 Nov 1994 08:49:37 GMT
	for _, of := range []struct {
		after, ms string
		want      uint64
		ok        bool
	}{
		{"7", "", 7000, true},
		{" 0.0015 ", "", 2, true},
		{"7", "20.5", 21, true},
		{"1.1", "", 1100, true},
		{"Sun, 06 Nov 1994 08:49:47 GMT", "", 10000, true},
		{"Sunday, 06-Nov-94 08:49:38 GMT", "", 1000, true},
		{"Sun Nov  6 08:49:37 1994", "", 0, true},
		{"Sat, 05 Nov 1994 08:49:37 GMT", "", 0, true},
		{"soon", "", 0, false},
		{"-1", "", 0, false},
		{"1e3", "", 0, false},
		{"1.", "", 0, false},
		{"", "", 0, false},
		{"9999999999999", "", 0, false},
	} {
		got, ok := Milliseconds(of.after, of.ms, now)
		if got != of.want || ok != of.ok {
			t.Errorf("%q %q: %d %v", of.after, of.ms, got, ok)
		}
	}
}
