module gomusl

go 1.21
