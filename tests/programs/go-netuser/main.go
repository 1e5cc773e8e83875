// Command netuser contains no C code except that of net and os/user. The Go linker
// then links it internally, without unwind tables.
package main

import (
	"context"
	"net"
	"os/user"
	"sync"

	"cgoheap.test/steps"
)

// With a context that can end, net calls C on a separate goroutine.
//
//go:noinline
func lookUpHost(ctx context.Context) {
	if _, err := net.DefaultResolver.LookupHost(ctx, "localhost"); err != nil {
		panic(err)
	}
}

//go:noinline
func lookUpUser(name string) *user.User {
	u, err := user.Lookup(name)
	if err != nil {
		panic(err)
	}
	return u
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := 0; i < 10; i++ {
		lookUpHost(context.Background())
		lookUpHost(ctx)
	}
	u := lookUpUser("root")
	var wait sync.WaitGroup
	for i := 0; i < 8; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			lookUpUser("daemon")
		}()
	}
	wait.Wait()
	steps.Say("root", u.Uid)
	steps.Ready()
}
