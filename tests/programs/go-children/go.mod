module children

go 1.21
