package verbs

import (
	"errors"
	"io"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/document"
)

// errorJSON goes to stdout in place of the answer, beside the line on stderr.
type errorJSON struct {
	Error struct {
		Message  string          `json:"message"`
		ExitCode int             `json:"exit_code"`
		Among    []processInList `json:"among,omitempty"` // the processes to choose from
	} `json:"error"`
}

type processInList struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
}

func writeError(w io.Writer, err error, code int) {
	var e errorJSON
	e.Error.Message, e.Error.ExitCode = err.Error(), code
	var several attach.SeveralError
	if errors.As(err, &several) {
		for _, p := range several.Among {
			e.Error.Among = append(e.Error.Among, processInList{p.PID, p.Program()})
		}
	}
	_ = document.Write(w, "error", e) // Run reports a stdout that cannot be written
}

// wantsJSON finds --json in a command line that may be wrong.
func wantsJSON(args []string) bool {
	if len(args) > 0 && args[0] == "run" {
		return false // what follows is the program's
	}
	for _, arg := range args {
		switch arg {
		case "--json":
			return true
		case "--":
			return false
		}
	}
	return false
}
