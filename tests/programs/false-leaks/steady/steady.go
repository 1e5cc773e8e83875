// Package steady is the pace of a service that leaks nothing: it is warmed up, and then rests or
// works evenly until stdin ends.
package steady

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Must ends the program: what does not work proves nothing.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Run calls warm once; then, with the argument "load", work once each period. It prints "ready"
// after warm, and returns when stdin ends.
func Run(period time.Duration, warm func(), work func(i int)) {
	if len(os.Args) != 2 || os.Args[1] != "rest" && os.Args[1] != "load" {
		fmt.Fprintf(os.Stderr, "usage: %s rest|load\n", os.Args[0])
		os.Exit(2)
	}
	warm()
	fmt.Println("ready")
	over := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	if os.Args[1] == "rest" {
		<-over
		return
	}
	tick := time.NewTicker(period)
	for i := 0; ; i++ {
		select {
		case <-over:
			return
		case <-tick.C:
			work(i)
		}
	}
}
