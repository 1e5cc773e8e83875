package leaktest

import (
	"errors"
	"runtime"
	"time"
)

// settleTime is how long finalizers and cleanups may take.
const settleTime = 5 * time.Second

var errNotSettled = errors.New("finalizers did not run within 5s: one of them is blocked")

type sentinel struct{ done chan struct{} }

// settle collects garbage twice and waits until what the first collection found dead has been
// finalized: finalizers run one after another, and that of an object that dies later runs later.
func settle() error {
	for i := 0; i < 2; i++ {
		done := make(chan struct{})
		runtime.SetFinalizer(&sentinel{done}, func(s *sentinel) { close(s.done) })
		cleaned := cleanupSentinel()
		runtime.GC()
		late := time.NewTimer(settleTime)
		for _, c := range []<-chan struct{}{done, cleaned} {
			select {
			case <-c:
			case <-late.C:
				return errNotSettled
			}
		}
		late.Stop()
	}
	return nil
}
