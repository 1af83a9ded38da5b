(component
  (core module $m (memory (export "m") 1) (func (export "f") (result i32) i32.const 0)
    (func (export "a") (param i32 i32 i32 i32) (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func $f (result u32) (canon lift (core func $i "f")))
  (export "f" (func $f)))
