module exact-go

go 1.25
