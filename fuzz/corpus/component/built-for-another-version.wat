(component (import "encaje:host/log@0.2.0" (instance)) (instance $i) (export "encaje:provider/provider@0.2.0" (instance $i)))
