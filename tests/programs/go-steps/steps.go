// Package steps is how a test program and its test take turns: the program
// says facts, a line of JSON each, then "ready", and waits for a line on stdin.
package steps

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

var stdin = bufio.NewReader(os.Stdin)

// Say prints one fact: its name, a space, its value as JSON.
func Say(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s %s\n", name, text)
}

// Ready says that the program has reached a point where nothing moves, and
// returns the next line of stdin. The program ends with it.
func Ready() string {
	fmt.Println("ready")
	line, err := stdin.ReadString('\n')
	if err != nil {
		os.Exit(0)
	}
	return line[:len(line)-1]
}
