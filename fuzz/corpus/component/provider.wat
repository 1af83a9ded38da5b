(component
  (import "encaje:host/log@0.1.0" (instance $log (export "write" (func (param "line" string)))))
  (import "wasi:io/poll@0.2.0" (instance))
  (type $none (instance))
  (instance $lifecycle)
  (export "encaje:common/lifecycle@0.1.0" (instance $lifecycle))
  (export "encaje:provider/provider@0.1.0" (instance $lifecycle))
  (@custom "encaje:manifest" "name = \"x\"\nversion = \"1.2.3\"\nkind = \"provider\"\npublisher = \"acme\"\nlicense = \"MIT\"\ndescription = \"Answers\"\nwit = \"0.1\"\n"))
