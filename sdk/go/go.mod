module encaje

go 1.25
