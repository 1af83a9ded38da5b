(component
  (type $s string)
  (import "f" (func (param "a" u32) (result string)))
  (import "i" (instance (export "t" (type (sub resource)))))
  (import "t" (type (eq $s)))
  (import "m" (core module (import "a" "b" (memory 1)) (export "c" (func))))
  (import "c" (component (import "x" (func))))
)
