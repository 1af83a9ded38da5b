package types

import "testing"

func TestAnOptionHasItsValueOrTheOtherOne(t *testing.T) {
	if None[int]().Or(3) != 3 || Some(2).Or(3) != 2 || (Option[int]{}).IsSome() {
		t.Fatal("a value came from nowhere, or did not come")
	}
	if Some("").Tag() != OptionSome || None[string]().Tag() != OptionNone {
		t.Fatal("an empty value is a value")
	}
}

func TestAResultIsAValueOrAnError(t *testing.T) {
	failed := "no"
	if value, err := Of(1, &failed).Get(); err == nil || *err != "no" || value != 0 {
		t.Fatalf("%v %v", value, err)
	}
	if value, err := Of[int, string](1, nil).Get(); err != nil || value != 1 {
		t.Fatalf("%v %v", value, err)
	}
	defer func() {
		if recover() == nil {
			t.Fatal("the value of an error was given out")
		}
	}()
	Err[int, string]("no").Ok()
}
