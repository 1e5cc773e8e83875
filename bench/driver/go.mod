module cgoheap.test/bench

go 1.24

require github.com/google/pprof v0.0.0-20250607225305-033d6d78b36a
