(component (@custom "encaje:manifest" "a") (@custom "encaje:manifest" "b"))
