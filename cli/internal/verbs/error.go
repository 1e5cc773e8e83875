package verbs

import (
	"errors"
	"io"

	"cgoheap/cli/internal/attach"
	"cgoheap/cli/internal/document"
)

// errorJSON is what stands on stdout in place of the answer; the line on stderr is there as well.
type errorJSON struct {
	Error struct {
		Message  string          `json:"message"`
		ExitCode int             `json:"exit_code"`
		Among    []processInList `json:"among,omitempty"` // of which one is to be given
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
	_ = document.Write(w, "error", e) // a stdout that cannot be written to is said elsewhere
}

// wantsJSON reads the flag where the command line itself may be the mistake.
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
