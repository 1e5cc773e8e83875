package leaktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime/pprof"
	"testing"

	"cgoheap.example/cgo_bridge"
)

const (
	labelKey         = "leaktest"
	requiredVariable = "CGOHEAP_REQUIRED"
	howToLoad        = "run the tests with go test -exec 'cgoheap run --sample-bytes 1 --'"
)

// Check fails t if, at its end, C memory is in use that was not before: blocks of malloc or
// mappings of C code. Call it first in the test, after t.Parallel, so that the test's deferred
// functions and cleanups run before the comparison. It fails also where it cannot tell, with the
// reason. Without the preloaded library it skips the test (or see [RunUnchecked]), or fails it
// if CGOHEAP_REQUIRED=1.
//
// Tests may be nested; what a subtest with a Check of its own reports is not reported again.
func Check(t testing.TB, opts ...Option) {
	t.Helper()
	o := optionsOf(opts)
	if o.problem != nil {
		t.Fatalf("leaktest: %v", o.problem)
	}
	if err := prepare(context.Background()); err != nil {
		text := cannotCheck(err)
		switch {
		case os.Getenv(requiredVariable) == "1":
			t.Fatal(text)
		case o.isUnchecked:
			t.Log(text)
		default:
			t.Skip(text)
		}
		return
	}
	c := begin(t.Name(), o)
	labels := pprof.Labels(labelKey, c.label)
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), labels))
	if err := c.takeBefore(); err != nil {
		c.forget()
		t.Fatalf("leaktest: cannot tell: %v", err)
	}
	startsParallel := isParallel(t)
	t.Cleanup(func() {
		t.Helper()
		c.end(startsParallel || isParallel(t))
		c.tell(t)
	})
}

func cannotCheck(err error) string {
	why := err.Error()
	if errors.Is(err, cgo_bridge.ErrNotPreloaded) {
		why = "libcgoheap.so is not preloaded: " + howToLoad
	}
	return "leaktest: C memory is not checked: " + why
}

// tell reports what the check has found.
func (c *check) tell(t testing.TB) {
	t.Helper()
	if c.unattributed.bytes > 0 {
		t.Logf("leaktest: during this parallel test, goroutines without its label allocated %s "+
			"of C memory that are still in use: cannot tell which test's (leaktest.Main can)",
			amount(c.unattributed.bytes, c.unattributed.blocks))
	}
	if c.unknown != "" {
		t.Errorf("leaktest: cannot tell whether C memory leaked: %s", c.unknown)
	}
	if c.bytes() > c.options.limit {
		t.Errorf("leaktest: %s", c.text("this test"))
	}
}

// Main is for TestMain: it runs the tests, and ends the process with exit code 1 if C memory is
// then in use that was not before, whichever test or goroutine allocated it. What a Check has
// reported is not reported again. Without the library the tests run, and a line on stderr says
// that nothing was checked; if CGOHEAP_REQUIRED=1, it is an error.
func Main(m *testing.M, opts ...Option) {
	os.Exit(runMain(m.Run, os.Stderr, opts))
}

func runMain(run func() int, w io.Writer, opts []Option) int {
	o := optionsOf(opts)
	c, err := (*check)(nil), o.problem
	if err == nil {
		err = prepare(context.Background())
	}
	if err == nil {
		c = begin("", o)
		err = c.takeBefore()
	}
	if err != nil {
		fmt.Fprintln(w, cannotCheck(err))
		if os.Getenv(requiredVariable) == "1" || o.problem != nil {
			return 1
		}
		return run()
	}
	code := run()
	c.end(false)
	isFine := true
	if c.unknown != "" {
		fmt.Fprintf(w, "leaktest: cannot tell whether C memory leaked: %s\n", c.unknown)
		isFine = false
	}
	if c.bytes() > o.limit {
		fmt.Fprintf(w, "leaktest: %s\n", c.text("these tests"))
		isFine = false
	}
	if code == 0 && !isFine {
		return 1
	}
	return code
}

// isParallel of the test or one around it. The testing package does not tell; where its fields
// are other than known, the answer is false, and only checks at the same time count as parallel.
func isParallel(t testing.TB) bool {
	v := reflect.ValueOf(t)
	for v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Struct {
		v = v.Elem()
		parallel := v.FieldByName("isParallel")
		if parallel.Kind() == reflect.Bool && parallel.Bool() {
			return true
		}
		v = v.FieldByName("parent")
	}
	return false
}
