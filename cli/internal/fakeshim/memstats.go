package fakeshim

// MemStats is what net/http/pprof writes below a heap profile.
const MemStats = `heap profile: 1: 2 [3: 4] @ heap/1048576

# runtime.MemStats
# Alloc = 1
# HeapIdle = 30
# HeapInuse = 100
# HeapReleased = 20
# Stack = 7 / 8
# MSpan = 1 / 100
# MCache = 2 / 100
# BuckHashSys = 4
# GCSys = 8
# OtherSys = 16
# GCCPUFraction = 0.5
`
