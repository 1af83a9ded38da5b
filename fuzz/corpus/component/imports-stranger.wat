(component (import "acme:x/y@1.0.0" (instance)))
