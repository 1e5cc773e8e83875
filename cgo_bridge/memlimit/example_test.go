package memlimit_test

import (
	"errors"
	"log"
	"log/slog"

	"cgoheap.example/cgo_bridge/memlimit"
)

// In a container GOMEMLIMIT follows C memory, and the log says each change.
func Example() {
	limit, err := memlimit.Start(memlimit.Options{
		Logger: slog.Default(),
		OnEvent: func(e memlimit.Event) {
			if e.Kind == memlimit.Growth {
				log.Printf("C leaks: %v to go", e.TimeLeft)
			}
		},
	})
	switch {
	case errors.Is(err, memlimit.ErrNoLimit):
		log.Print("not in a container")
	case err != nil:
		log.Print(err)
	default:
		defer limit.Stop()
	}
	// ... the service
}

// Without a cgroup, a bound of one's own.
func ExampleStart() {
	limit, err := memlimit.Start(memlimit.Options{Limit: 2 << 30, Headroom: 100 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer limit.Stop()
}
