package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestWhyTooEarly: of what has run for seconds nothing is called a leak, nor anything else.
func TestWhyTooEarly(t *testing.T) {
	t.Parallel()
	h := startWhy(t, program(t, "go-why", oneBuild()))
	h.tell("rounds 10")
	var answer struct {
		Rows []struct {
			Caller string `json:"go_caller"`
			Class  string
		}
	}
	text := cgoheap(t, h, "top", fmt.Sprint(h.pid()), "--once", "--why", "--json", "-n", "1000")
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	leaks := 0
	for _, row := range answer.Rows {
		if row.Class == "leak" {
			t.Errorf("%s is called a leak after seconds", row.Caller)
		}
		if row.Caller == "main.leak" && row.Class == "too_early" {
			leaks++
		}
	}
	if leaks == 0 {
		t.Errorf("main.leak is not said to be too early to say\n%s", text)
	}
}
