package leaktest

import (
	"time"

	"cgoheap.example/cgo_bridge/leaktest/suppress"
)

// An Option changes what a check reports.
type Option func(*options)

type options struct {
	limit       int64
	wait        time.Duration
	ignored     *suppress.List
	defaults    *suppress.List
	isUnchecked bool
	problem     error // an option is invalid
}

const usualWait = 2 * time.Second

func optionsOf(list []Option) *options {
	o := &options{wait: usualWait, ignored: &suppress.List{}, defaults: suppress.Defaults()}
	for _, set := range list {
		set(o)
	}
	return o
}

// Limit allows this many bytes.
func Limit(bytes int64) Option { return func(o *options) { o.limit = bytes } }

// Wait is how long memory may take to be freed after the test, by another goroutine or by a
// finalizer of a finalizer (default 2s). It is only waited for if something is held.
func Wait(most time.Duration) Option { return func(o *options) { o.wait = most } }

// Ignore leaves out stacks with one of these functions: names or globs, Go's with or without
// the path before the package's name, or "leak:PATTERN" as LeakSanitizer has it.
func Ignore(functions ...string) Option {
	return func(o *options) {
		for _, text := range functions {
			rule, err := suppress.NewRule(text)
			if err != nil {
				o.problem = err
				continue
			}
			o.ignored.Rules = append(o.ignored.Rules, rule)
		}
	}
}

// NoDefaults also reports what libc, NSS, the loader and Go's runtime keep for themselves.
func NoDefaults() Option { return func(o *options) { o.defaults = nil } }

// RunUnchecked runs the test without a check, and logs why, where it would be skipped: in a
// process without the library.
func RunUnchecked() Option { return func(o *options) { o.isUnchecked = true } }
