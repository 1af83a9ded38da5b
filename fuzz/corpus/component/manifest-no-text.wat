(component (@custom "encaje:manifest" "\ff\fe"))
