(component (import "encaje:host/log" (instance)))
