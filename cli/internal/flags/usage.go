package flags

import "fmt"

// UsageError is a mistake in the command line: exit code 2.
type UsageError struct{ Text string }

func (e UsageError) Error() string { return e.Text }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error {
	return UsageError{fmt.Sprintf(format, args...)}
}
