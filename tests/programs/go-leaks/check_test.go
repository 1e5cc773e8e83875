package leaks

import (
	"context"
	"os"
	"runtime/pprof"
	"sync"
	"testing"
	"time"
	"unsafe"

	"cgoheap.example/cgo_bridge"
	"cgoheap.example/cgo_bridge/leaktest"
)

// What leaktest says of each: Fine passes, Leaky fails.

func TestMain(m *testing.M) {
	if os.Getenv("LEAKS_MAIN") == "1" {
		leaktest.Main(m, brief)
	}
	os.Exit(m.Run())
}

// brief: what leaks is not freed later.
var brief = leaktest.Wait(50 * time.Millisecond)

func TestCheckFine(t *testing.T) {
	leaktest.Check(t)
	os.Setenv("LEAKS_TEST", "libc copies it")
	Free(Take(10))
	Free(ByThread(10))
}

func TestCheckLeaky(t *testing.T) {
	leaktest.Check(t, brief)
	for i := 0; i < 3; i++ {
		Take(1000)
	}
}

func TestCheckLeakyMapping(t *testing.T) {
	leaktest.Check(t, brief)
	MapPages(12288)
}

func TestCheckLeakyThread(t *testing.T) {
	leaktest.Check(t, brief)
	ByThread(30)
}

// What is freed after the check's begin does not make up for what stays.
func TestCheckLeakyDespiteFree(t *testing.T) {
	earlier := Take(500)
	leaktest.Check(t, brief)
	Free(earlier)
	Take(40)
}

func TestCheckFineFinalizers(t *testing.T) {
	leaktest.Check(t)
	NewOwner(100, NewOwner(50, NewOwner(20, nil)))
}

func TestCheckFineLater(t *testing.T) {
	leaktest.Check(t)
	p := Take(100)
	go func() {
		time.Sleep(300 * time.Millisecond)
		Free(p)
	}()
}

func TestCheckFineOptions(t *testing.T) {
	leaktest.Check(t, leaktest.Limit(99), leaktest.Ignore("leaks.MapPages"))
	Take(99)
	MapPages(4096)
}

func TestCheckFineCleanup(t *testing.T) {
	leaktest.Check(t)
	p := Take(100)
	t.Cleanup(func() { Free(p) })
}

func TestCheckFineUnchecked(t *testing.T) { leaktest.Check(t, leaktest.RunUnchecked()) }

// With little memory there is no room to record all, though all is freed.
func TestRoom(t *testing.T) {
	leaktest.Check(t)
	var blocks []unsafe.Pointer
	for i := 0; i < 100_000; i++ {
		blocks = append(blocks, Take(1))
	}
	for _, p := range blocks {
		Free(p)
	}
}

// The program makes sampling coarser.
func TestCoarse(t *testing.T) {
	leaktest.Check(t)
	coarse := cgo_bridge.SamplingOptions{Switch: cgo_bridge.SamplingOn, SampleBytes: 4096}
	if _, err := cgo_bridge.Sampling(context.Background(), coarse); err != nil {
		t.Fatal(err)
	}
}

func TestNested(t *testing.T) {
	leaktest.Check(t)
	t.Run("Leaky", func(t *testing.T) {
		leaktest.Check(t, brief)
		Take(77)
	})
	t.Run("Fine", func(t *testing.T) {
		leaktest.Check(t)
		Free(Take(77))
	})
}

func TestNestedLeaky(t *testing.T) {
	leaktest.Check(t, brief)
	t.Run("unchecked", func(t *testing.T) { Take(55) })
}

// Several at a time, one of which leaks, by a goroutine that it starts.
func TestParallel(t *testing.T) {
	for _, name := range []string{"Fine1", "Leaky", "Fine2", "Fine3"} {
		name := name
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leaktest.Check(t, brief)
			for i := 0; i < 100; i++ {
				Free(Take(i))
			}
			if name == "Leaky" {
				var done sync.WaitGroup
				done.Add(1)
				go func() {
					Take(33)
					done.Done()
				}()
				done.Wait()
			}
		})
	}
}

// A label of the test's own hides its name: no test is blamed, and Main finds it.
func TestHiddenFine(t *testing.T) {
	for _, name := range []string{"a", "b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leaktest.Check(t, leaktest.Wait(0))
			labels := pprof.Labels("tenant", "x")
			pprof.Do(context.Background(), labels, func(context.Context) { Take(44) })
		})
	}
}
