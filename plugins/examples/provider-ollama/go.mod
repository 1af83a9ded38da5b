module provider-ollama

go 1.25
