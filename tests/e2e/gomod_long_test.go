//go:build long

package e2e

func init() { agedPrograms = append(agedPrograms, "go-prom", "go-allheap", "go-memlimit") }
