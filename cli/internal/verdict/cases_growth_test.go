package verdict

import (
	"time"

	"cgoheap.example/cli/internal/account"
)

var growthCases = []verdictCase{
	{"nothing_dominates", "all alike", quiet,
		"No single owner dominates: the largest are Go heap, 100.0 MiB (10 % of RSS), " +
			"and goroutine stacks, 100.0 MiB (10 % of RSS)."},
	{"nothing_dominates", "one has a third", owning(account.CLive, 450*mib), ""},
	{"nothing_dominates", "one has little less than a third", owning(account.CLive, 449*mib),
		"No single owner dominates: the largest are C live, 449.0 MiB (33 % of RSS), " +
			"and Go heap, 100.0 MiB (7 % of RSS)."},

	{"c_live_grows", "an hour", grown(2*time.Hour, account.CLive, 40*mib),
		"C live grew by 40.0 MiB in 2h (20.0 MiB an hour since 01:00), " +
			"to 100.0 MiB (10 % of RSS). If it keeps growing under a steady load, it is a leak: " +
			"`cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` " +
			"saves only the old blocks."},
	{"c_live_grows", "seconds, dormant", changed(func(s *Situation) {
		s.after(5*time.Second, account.CLive, 2*mib)
		s.Dormant = true
	}), "C live grew by 2.0 MiB in 5s, to 100.0 MiB (10 % of RSS). " +
		"If it keeps growing under a steady load, it is a leak: " +
		"`cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves " +
		"only the old blocks. But it is dormant, and only blocks allocated from now on can be " +
		"shown: `cgoheap sampling 4242 on` first."},
	{"c_live_grows", "1.6 % in a minute is 90 % in an hour", changed(func(s *Situation) {
		s.set(account.CLive, 1500*mib).after(time.Minute, account.CLive, 24*mib)
	}), "C live grew by 24.0 MiB in 1m (1.4 GiB an hour since 02:59), to 1.5 GiB (62 % of RSS). " +
		"If it keeps growing under a steady load, it is a leak: " +
		"`cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves " +
		"only the old blocks."},
	{"c_live_grows", "by less than 2 %", grown(time.Hour, account.CLive, 15*mib/10), ""},
	{"c_live_grows", "it shrank", grown(time.Hour, account.CLive, -40*mib), ""},
	{"c_live_grows", "resident, but not in use", changed(func(s *Situation) {
		s.after(time.Hour, account.CLive, 40*mib)
		s.Grown.Last.Allocator.InUse = s.Account.Allocator.InUse
	}), ""},
	{"c_live_grows", "no earlier look", quiet, ""},
	{"c_live_grows", "a slow leak, by somebody who looks each minute", changed(func(s *Situation) {
		s.after(61*time.Minute, account.CLive, 12*mib).andAfter(time.Minute, account.CLive, mib/5)
	}), "C live grew by 204.8 KiB in 1m (12.0 MiB an hour since 02:59), " +
		"by 12.0 MiB in 1h01m (11.8 MiB an hour since 01:59), to 100.0 MiB (10 % of RSS). " +
		"If it keeps growing under a steady load, it is a leak: " +
		"`cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves " +
		"only the old blocks."},
	{"c_live_grows", "since a peak was freed", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, -300*mib)
		s.andAfter(time.Minute, account.CLive, 40*mib)
	}), "C live grew by 40.0 MiB in 1m (2.3 GiB an hour since 02:59), " +
		"to 900.0 MiB (50 % of RSS). If it keeps growing under a steady load, it is a leak: " +
		"`cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves " +
		"only the old blocks."},

	{"owner_grows", "in an hour, but not since the last look", changed(func(s *Situation) {
		s.set(account.GoHeap, 300*mib).after(time.Hour, account.GoHeap, 200*mib)
		s.andAfter(time.Minute, account.GoHeap, 0)
	}), "Go heap grew by 200.0 MiB in 1h (200.0 MiB an hour since 02:00), " +
		"but not in the last 1m: from 100.0 MiB to 300.0 MiB. " +
		"To see what is in use: `go tool pprof http://SERVICE/debug/pprof/heap`."},
	{"owner_grows", "mappings", grown(10*time.Minute, account.CMmap, 50*mib),
		"C mmap grew by 50.0 MiB in 10m (300.0 MiB an hour since 02:50): " +
			"from 50.0 MiB to 100.0 MiB. Who mapped it: " +
			"`cgoheap profile 4242 --seconds 60`, and `-tagfocus=origin=mmap` to pprof."},
	{"owner_grows", "what dominates has said its command", changed(func(s *Situation) {
		s.set(account.GoHeap, 900*mib).after(time.Minute, account.GoHeap, 500*mib)
	}), "Go heap grew by 500.0 MiB in 1m (29.3 GiB an hour since 02:59): " +
		"from 400.0 MiB to 900.0 MiB."},
	{"owner_grows", "less than a twentieth, but fast", grown(10*time.Minute, account.CMmap, 17*mib),
		"C mmap grew by 17.0 MiB in 10m (102.0 MiB an hour since 02:50): " +
			"from 83.0 MiB to 100.0 MiB. Who mapped it: " +
			"`cgoheap profile 4242 --seconds 60`, and `-tagfocus=origin=mmap` to pprof."},
	{"owner_grows", "less than a twentieth, and slow", grown(time.Hour, account.CMmap, 49*mib), ""},
	{"owner_grows", "C live, which has its own rule",
		grown(10*time.Minute, account.CLive, 50*mib), ""},

	{"owner_large", "one without a rule", changed(func(s *Situation) {
		s.Account.Owners = append(s.Account.Owners, part("kernel", 0), part("later_one", 0))
		s.set("kernel", 2000*mib).set("later_one", 1000*mib).after(time.Hour, "kernel", 9*mib)
	}), "Kernel: 2.0 GiB (50 % of RSS), memory that the kernel shares, " +
		"such as the rings of io_uring and AIO. It grew by 9.0 MiB in 1h (9.0 MiB an hour since " +
		"02:00). Later one: 1000.0 MiB (25 % of RSS)."},
	{"owner_large", "figures that are not known", changed(func(s *Situation) {
		for _, name := range []string{account.CLive, account.CRetained, account.GoStacks} {
			s.part(name).Bytes = nil
		}
	}), "C live and C retained are unknown."},
	{"owner_large", "what is not known is in a neighbour that says so", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib)
		s.part(account.CRetained).Bytes, s.part(account.GoStacks).Bytes = nil, nil
	}), ""},
	{"owner_large", "less than a fifth", changed(func(s *Situation) {
		s.Account.Owners = append(s.Account.Owners, part("kernel", 0))
		s.set("kernel", 200*mib)
	}), ""},
}
