(component (component (component (component (import "acme:x/y@1.0.0" (instance))))) (core module (func)))
