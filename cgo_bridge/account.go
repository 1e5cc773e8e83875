package cgo_bridge

import (
	"context"
	"net/http"
	"time"
)

// Resident is the sum of the named owners; unknown owners count as 0.
func (a *MemoryAccount) Resident(names ...string) int64 {
	var sum int64
	for _, name := range names {
		for _, o := range a.Owners {
			if o.Name == name && o.Bytes != nil {
				sum += *o.Bytes
			}
		}
	}
	return sum
}

// NonGo is the part of the RSS that does not belong to the Go runtime: what GOMEMLIMIT does not
// cover.
func (a *MemoryAccount) NonGo() int64 {
	return a.RSS - a.Resident("go_heap", "go_stacks", "go_metadata")
}

// Account makes the library take an account now, about 20 ms for each resident GiB;
// nothing is stopped for it. The error is [ErrNotPreloaded], a
// [*VersionError], a [*PassiveError], a [*RequestError], ctx's, or one of the
// connection.
func Account(ctx context.Context) (*MemoryAccount, error) {
	a := &MemoryAccount{}
	if err := askJSON(ctx, http.MethodGet, "/v1/account", nil, a); err != nil {
		return nil, err
	}
	return a, nil
}

// debtTimeout is far more than an account usually takes.
const debtTimeout = 3 * time.Second

// Debt takes an account and says how much C memory is in use that finalizers or cleanups free,
// after a collection of Go's. known is false if the library is not preloaded, does not answer, or
// does not know who frees. It is for memlimit's Options.Debt.
func Debt() (bytes int64, known bool) {
	ctx, cancel := context.WithTimeout(context.Background(), debtTimeout)
	defer cancel()
	a, err := Account(ctx)
	if err != nil || a.Debt == nil {
		return 0, false
	}
	return *a.Debt, true
}
