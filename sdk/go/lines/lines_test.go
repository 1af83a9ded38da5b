package lines

import (
	"errors"
	"reflect"
	"testing"
)

func TestLinesAreTheSameHoweverTheBytesWereCut(t *testing.T) {
	stream := []byte("{\"a\":\"né\"}\r\n\n{\"b\":2}\nlast")
	want := []string{"{\"a\":\"né\"}", "", "{\"b\":2}", "last"}
	for size := 1; size <= len(stream); size++ {
		lines := New(32)
		var got []string
		for rest := stream; len(rest) > 0; {
			piece := rest[:min(size, len(rest))]
			rest = rest[len(piece):]
			complete, err := lines.Push(piece)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, complete...)
		}
		last, err := lines.Finish()
		if got = append(got, last); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("pieces of %d: %q %v", size, got, err)
		}
	}
}

func TestALongLineAndBytesThatAreNoTextAreErrors(t *testing.T) {
	if _, err := New(3).Push([]byte("abcd\n")); !errors.Is(err, ErrTooLong) {
		t.Fatal(err)
	}
	if got, err := New(3).Push([]byte("abc\r\n")); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if _, err := New(9).Push([]byte{0xff, '\n'}); !errors.Is(err, ErrNotUTF8) {
		t.Fatal(err)
	}
}

func TestEventsAreJoinedAndCommentsAreNone(t *testing.T) {
	var events Events
	var got []Event
	for _, line := range []string{": hello", "", "event: delta", "data: a", "data:b", "", "data: [DONE]", ""} {
		event, err := events.Push(line)
		if err != nil {
			t.Fatal(err)
		}
		if event != nil {
			got = append(got, *event)
		}
	}
	if want := []Event{{"delta", "a\nb"}, {"message", "[DONE]"}}; !reflect.DeepEqual(got, want) {
		t.Fatalf("%q", got)
	}
}
