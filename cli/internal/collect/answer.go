package collect

import (
	"fmt"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
)

// The first question: does the Go heap explain the RSS?

// From these shares of the RSS on, Go's heap explains it, or a part of it.
const (
	yesShare    = 2.0 / 3
	partlyShare = 1.0 / 3
)

// answer is a word, and the figures that it follows from.
type answer struct{ word, text string }

func answerOf(heap, rss int64) string {
	switch share := float64(heap) / float64(max(rss, 1)); {
	case share >= yesShare:
		return "Yes."
	case share >= partlyShare:
		return "Partly."
	}
	return "No."
}

// answer takes the best figures that there are: the account's, those of both sides, Go's alone,
// the kernel's alone.
func (f *Facts) answer() answer {
	rss, isKnown := f.Process["VmRSS"]
	switch {
	case f.Account != nil:
		return f.answerByAccount()
	case f.MemStats != nil && isKnown && rss > 0:
		return f.answerByBoth(rss)
	case f.MemStats != nil:
		return f.answerByGo()
	case isKnown && rss > 0:
		return f.answerByKernel(rss)
	}
	return answer{"Unknown.", "Neither the RSS nor Go's figures could be had: see MISSING below."}
}

// of is a figure with its share.
func of(n, rss int64) string {
	return fmt.Sprintf("%s (%.0f %%)", termtext.Bytes(n), 100*float64(n)/float64(max(rss, 1)))
}

// goHeap is what is resident of Go's heap; stacks that the account has in it are not of it.
func goHeap(a *account.Account) int64 {
	heap := a.Resident(account.GoHeap)
	if a.Owner(account.GoStacks).Bytes == nil && a.Go.Stacks != nil {
		heap -= min(*a.Go.Stacks, heap)
	}
	return heap
}

func (f *Facts) answerByAccount() answer {
	a := f.Account
	heap := goHeap(a)
	text := fmt.Sprintf("Go's heap is %s of the %s that are resident", of(heap, a.RSS),
		termtext.Bytes(a.RSS))
	if g := &a.Go; g.HeapInUse != nil {
		text += fmt.Sprintf("; Go has %s of heap in use", termtext.Bytes(*g.HeapInUse))
	}
	text += "."
	first, second := largestOthers(a)
	if word := answerOf(heap, a.RSS); word == "Yes." || first == "" {
		return answer{word, text}
	}
	text += " The largest other part is " + first
	if second != "" {
		text += ", then " + second
	}
	return answer{answerOf(heap, a.RSS), text + "."}
}

// largestOthers are the two largest owners beside Go's heap; "" is none.
func largestOthers(a *account.Account) (first, second string) {
	owners := append([]account.Owner{}, a.Owners...)
	sortOwners(owners)
	for _, o := range owners {
		if o.Name == account.GoHeap || account.Known(o.Bytes) <= 0 {
			continue
		}
		said := account.Label(o.Name) + ", " + of(*o.Bytes, a.RSS)
		if first == "" {
			first = said
		} else {
			return first, said
		}
	}
	return first, ""
}

// goHeld is the heap that Go has not returned to the kernel.
func (f *Facts) goHeld() int64 {
	m := f.MemStats
	return max(0, m["HeapInuse"]+m["HeapIdle"]-m["HeapReleased"])
}

func (f *Facts) goInside() string {
	m := f.MemStats
	return fmt.Sprintf("in use %s, free and not returned %s",
		termtext.Bytes(m["HeapInuse"]), termtext.Bytes(max(0, m["HeapIdle"]-m["HeapReleased"])))
}

const loadLibrary = "What is outside Go is unknown without the library: " +
	"start the service with cgoheap run."

func (f *Facts) answerByBoth(rss int64) answer {
	held := f.goHeld()
	if used := f.MemStats["HeapInuse"]; used > rss {
		return answer{"Unknown.", fmt.Sprintf("Go says that %s of heap are in use, more than the "+
			"%s that are resident: part of it was never touched or is swapped out, or the URL is "+
			"another process's.", termtext.Bytes(used), termtext.Bytes(rss))}
	}
	word := answerOf(held, rss)
	text := fmt.Sprintf("Go's heap has %s of the %s that are resident: %s.", of(held, rss),
		termtext.Bytes(rss), f.goInside())
	if word != "Yes." {
		text += fmt.Sprintf(" Goroutine stacks have %s. %s", termtext.Bytes(f.MemStats["Stack"]),
			loadLibrary)
	}
	return answer{word, text}
}

// answerByGo compares with the highest RSS, which is all that a service tells: the RSS now is
// at most that, and Go's share of it at least this.
func (f *Facts) answerByGo() answer {
	held, peak := f.goHeld(), f.MemStats["MaxRSS"]
	text := fmt.Sprintf("Go's heap has %s: %s", termtext.Bytes(held), f.goInside())
	if peak <= 0 {
		return answer{"Unknown.", text + ". The service does not tell its RSS: " +
			"give the process's ID too, on its host."}
	}
	text += fmt.Sprintf("; the process's RSS was at most %s.", termtext.Bytes(peak))
	if answerOf(held, peak) == "Yes." {
		return answer{"Yes.", text}
	}
	return answer{"No, not at its peak.", fmt.Sprintf("%s That leaves up to %s outside Go's heap. "+
		"What the RSS is now, and whose, the process's ID tells: collect PID --url URL on its "+
		"host.", text, termtext.Bytes(peak-min(held, peak)))}
}

// answerByKernel knows only that Go's heap is anonymous memory.
func (f *Facts) answerByKernel(rss int64) answer {
	anon, isKnown := f.Process["RssAnon"]
	text := fmt.Sprintf("%s are resident: anonymous %s, files %s, shared memory %s.",
		termtext.Bytes(rss), of(anon, rss), of(f.Process["RssFile"], rss),
		of(f.Process["RssShmem"], rss))
	if isKnown && answerOf(anon, rss) == "No." {
		return answer{"No.", text + " Go's heap is anonymous memory: it can be no more than that."}
	}
	return answer{"Unknown.", text + " How much of the anonymous memory is Go's, --url tells; " +
		"all of it, by owner, the library: start the service with cgoheap run."}
}

// cautions are what makes the figures doubtful.
func (f *Facts) cautions() []string {
	var lines []string
	url := ""
	if f.manifest.URL != nil {
		url = *f.manifest.URL
	}
	ours, theirs := f.text("proc/cmdline"), f.text("go/cmdline.txt")
	switch {
	case f.otherProcess() != "":
		lines = append(lines, url+" describes another process: "+f.otherProcess()+".")
	case len(ours) > 0 && len(theirs) > 0 && commandLine(ours) != commandLine(theirs):
		lines = append(lines, url+" answers for another command line than that of the process: "+
			"compare proc/cmdline and go/cmdline.txt.")
	}
	if f.Status != nil && f.Status.State == "dormant" {
		lines = append(lines, "The library is dormant: what is allocated now is not in "+
			"cgoheap.pb.gz.")
	}
	if f.Status != nil && f.Status.DroppedSamples() > 0 {
		lines = append(lines, fmt.Sprintf("The library dropped %s: figures of stacks are too low.",
			termtext.CountOf(int(f.Status.DroppedSamples()), "sample", "samples")))
	}
	return lines
}

// otherProcess: a process cannot use more of Go's heap than it has mapped.
func (f *Facts) otherProcess() string {
	if f.Account == nil || f.MemStats == nil || f.Account.Owner(account.GoHeap).Mapped == nil {
		return ""
	}
	used := f.MemStats["HeapInuse"] + f.MemStats["Stack"]
	mapped := *f.Account.Owner(account.GoHeap).Mapped
	if used <= mapped {
		return ""
	}
	return fmt.Sprintf("%s of Go heap in use there, %s mapped here",
		termtext.Bytes(used), termtext.Bytes(mapped))
}
