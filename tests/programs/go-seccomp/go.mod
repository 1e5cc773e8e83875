module seccomp

go 1.21
