// Package types has what the generated bindings are written in: options, results and pairs. It converts nothing.
package types

// Unit is the value of a result that has none.
type Unit struct{}

// The tags of an Option.
const (
	OptionNone uint8 = 0
	OptionSome uint8 = 1
)

// Option is a value, or nothing. Its zero value is nothing.
type Option[T any] struct {
	value T
	some  bool
}

// Some has a value.
func Some[T any](value T) Option[T] { return Option[T]{value, true} }

// None has no value.
func None[T any]() Option[T] { return Option[T]{} }

// Tag is OptionSome or OptionNone.
func (o Option[T]) Tag() uint8 {
	if o.some {
		return OptionSome
	}
	return OptionNone
}

// IsSome says whether there is a value.
func (o Option[T]) IsSome() bool { return o.some }

// Some returns the value; it panics where there is none.
func (o Option[T]) Some() T {
	if !o.some {
		panic("an option without a value was asked for it")
	}
	return o.value
}

// Or returns the value, or another one where there is none.
func (o Option[T]) Or(other T) T {
	if o.some {
		return o.value
	}
	return other
}

// The tags of a Result.
const (
	ResultOk  uint8 = 0
	ResultErr uint8 = 1
)

// Result is a value or an error.
type Result[T any, E any] struct {
	value  T
	err    E
	failed bool
}

// Ok is a value.
func Ok[T any, E any](value T) Result[T, E] { return Result[T, E]{value: value} }

// Err is an error.
func Err[T any, E any](err E) Result[T, E] { return Result[T, E]{err: err, failed: true} }

// Tag is ResultOk or ResultErr.
func (r Result[T, E]) Tag() uint8 {
	if r.failed {
		return ResultErr
	}
	return ResultOk
}

// Ok returns the value; it panics where there is an error.
func (r Result[T, E]) Ok() T {
	if r.failed {
		panic("a result that is an error was asked for its value")
	}
	return r.value
}

// Err returns the error; it panics where there is a value.
func (r Result[T, E]) Err() E {
	if !r.failed {
		panic("a result that is a value was asked for its error")
	}
	return r.err
}

// Get returns the value, or the error and a value without meaning.
func (r Result[T, E]) Get() (T, *E) {
	if r.failed {
		err := r.err
		return r.value, &err
	}
	return r.value, nil
}

// Of is Err where err is not nil, else Ok.
func Of[T any, E any](value T, err *E) Result[T, E] {
	if err != nil {
		return Err[T, E](*err)
	}
	return Ok[T, E](value)
}

// Tuple2 is a pair.
type Tuple2[A any, B any] struct {
	F0 A
	F1 B
}
