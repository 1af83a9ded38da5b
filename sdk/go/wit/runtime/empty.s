// Functions of the host have no body in Go; this file lets the compiler accept that.
