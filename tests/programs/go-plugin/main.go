// The host of a Go plugin: what the plugin's C code holds is the plugin's, under the
// host's labels.
package main

// #include <stdlib.h>
import "C"

import (
	"context"
	"fmt"
	"os"
	"plugin"
	"runtime/pprof"
)

//go:noinline
func ownBlock() { C.malloc(5003) }

func main() {
	p, err := plugin.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	keep, err := p.Lookup("Keep")
	if err != nil {
		panic(err)
	}
	ownBlock()
	pprof.Do(context.Background(), pprof.Labels("tenant", "acme"), func(context.Context) {
		keep.(func(int))(100)
	})
	fmt.Println("ready")
	fmt.Scanln()
}
