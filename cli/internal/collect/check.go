package collect

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/termtext"
)

// check says what is wrong with an answer that was received: a profile is read as pprof reads
// it, because a page of a proxy or half a profile is found out too late.
func check(s source, path string) error {
	switch s.kind {
	case kindProfile:
		return checkProfile(path)
	case kindJSON:
		text, err := os.ReadFile(path)
		if err == nil && !json.Valid(text) {
			return &failure{text: "the answer is not JSON, or is cut off", again: true}
		}
		return err
	}
	return checkText(s, path)
}

func checkProfile(path string) error {
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(body) < 2 || body[0] != 0x1f || body[1] != 0x8b {
		return final("the answer is not a profile: it begins with %s",
			termtext.Quote(string(body[:min(len(body), 40)])))
	}
	if _, err := attach.ParseProfile(body); err != nil {
		return &failure{text: "the answer is not a whole profile: " +
			termtext.Escape(err.Error()), again: true}
	}
	return nil
}

func checkText(s source, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	start, _ := bufio.NewReader(file).Peek(64)
	text := string(start)
	switch {
	case s.wants != "" && !strings.HasPrefix(text, s.wants):
		return final("the answer is something else: it begins with %s",
			termtext.Quote(termtext.CutEnd(text, 40)))
	case s.from == fromGo && strings.HasPrefix(strings.ToLower(strings.TrimSpace(text)), "<"):
		return final("answers with a web page: is net/http/pprof served there?")
	}
	return nil
}
