(component
  (type $r (record (field "a" u8) (field "b" (list string))))
  (type (variant (case "x") (case "y" $r)))
  (type (flags "p" "q"))
  (type (enum "one" "two"))
  (type (func async (param "s" (option $r)) (result (result $r (error string)))))
  (type (instance (export "f" (func))))
  (type (resource (rep i32))))
