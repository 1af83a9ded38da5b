//go:build wasm

// Package runtime has what the generated bindings stand on: memory for what crosses the boundary, and handles of the
// host's resources. Plugins have no reason to import it.
package runtime

import (
	"runtime"
	"unsafe"
)

// Handle names a resource of the host. It is 0 once the resource was given away or dropped.
type Handle struct{ number int32 }

// MakeHandle names the resource of this number.
func MakeHandle(number int32) *Handle {
	handle := &Handle{}
	handle.Set(number)
	return handle
}

// Use is the number of a resource that stays ours.
func (h *Handle) Use() int32 {
	if h.number == 0 {
		panic("a resource was used after it was given away or dropped")
	}
	return h.number
}

// Take is the number of a resource that is ours no more.
func (h *Handle) Take() int32 {
	number := h.Use()
	h.number = 0
	return number
}

// TakeOrNil is as Take, but 0 where there is none.
func (h *Handle) TakeOrNil() int32 {
	number := h.number
	h.number = 0
	return number
}

// Set gives an empty handle a number.
func (h *Handle) Set(number int32) {
	if number == 0 || h.number != 0 {
		panic("a handle is set once, to a number that is not 0")
	}
	h.number = number
}

// Allocate returns zeroed memory that stays in its place until pinner lets go of it. Zero bytes have no place.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	var place unsafe.Pointer
	// Words of the alignment's size, since Go aligns by type.
	words := (size + align - 1) / align
	switch align {
	case 1:
		place = unsafe.Pointer(unsafe.SliceData(make([]uint8, words)))
	case 2:
		place = unsafe.Pointer(unsafe.SliceData(make([]uint16, words)))
	case 4:
		place = unsafe.Pointer(unsafe.SliceData(make([]uint32, words)))
	case 8:
		place = unsafe.Pointer(unsafe.SliceData(make([]uint64, words)))
	default:
		panic("no WIT type has this alignment")
	}
	pinner.Pin(place)
	return place
}

// What the host wrote into this memory, until the bindings have read it.
var arrived runtime.Pinner

// Unpin lets go of what the host wrote.
func Unpin() { arrived.Unpin() }

// Go's own memory can be used once its start is over; the host may need some before that.
var started bool

func init() { started = true }

//go:linkname grow runtime.sbrk
func grow(bytes uintptr) unsafe.Pointer

// The collector looks at the clock, and no import may be called while the host asks for memory: the adapter answers
// with the last time that it saw.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if old != nil || oldSize != 0 {
		panic("the host grew a piece of memory, which no type of the contracts needs")
	}
	if !started {
		place := grow(size + align)
		return unsafe.Add(place, -uintptr(place)&(align-1))
	}
	pauseClock(true)
	place := Allocate(&arrived, size, align)
	pauseClock(false)
	return place
}
