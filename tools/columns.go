// Columns reads file names from its input, each ended by a zero byte, and prints
// their lines wider than 100 columns. A tab is 4 wide in Go and 8 elsewhere. In Go,
// what a raw string of several lines says does not count: it is data.
package main

import (
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"io"
	"os"
	"path"
	"strings"
)

const most = 100

// width is how far the line reaches with tabs of that many columns.
func width(line string, tab int) int {
	reached := 0
	for _, r := range line {
		if r == '\t' {
			reached += tab - reached%tab
		} else {
			reached++
		}
	}
	return reached
}

// withoutRawStrings is the source with the text of its raw strings of several lines cut out;
// their quotes and line ends stay.
func withoutRawStrings(source []byte) []byte {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, nil, 0)
	var kept bytes.Buffer
	from := 0
	for {
		at, kind, text := s.Scan()
		if kind == token.EOF {
			kept.Write(source[from:])
			return kept.Bytes()
		}
		if kind != token.STRING || !strings.Contains(text, "\n") {
			continue
		}
		start := file.Offset(at)
		length := 2 + bytes.IndexByte(source[start+1:], '`')
		kept.Write(source[from : start+1])
		kept.WriteString(
			strings.Repeat("\n", bytes.Count(source[start:start+length], []byte("\n"))),
		)
		from = start + length - 1
	}
}

func main() {
	names, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, name := range strings.Split(strings.TrimRight(string(names), "\x00"), "\x00") {
		source, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // removed, and git has not been told yet
		} else if err != nil {
			fmt.Println(err)
			continue
		}
		tab := 8
		if path.Ext(name) == ".go" {
			tab, source = 4, withoutRawStrings(source)
		}
		for i, line := range strings.Split(string(source), "\n") {
			if w := width(line, tab); w > most {
				fmt.Printf("%s:%d: %d columns\n", name, i+1, w)
			}
		}
	}
}
