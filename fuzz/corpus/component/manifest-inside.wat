(component (core module (@custom "encaje:manifest" "inner")) (component (@custom "encaje:manifest" "inner too")))
