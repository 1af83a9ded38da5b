(component (@custom "encaje:manifest" "nam = 1\n"))
