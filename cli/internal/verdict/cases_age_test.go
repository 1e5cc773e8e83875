package verdict

import (
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/holders"
)

// held is a row of a class.
func held(class cohort.Class, bytes int64, caller, shows string) cohort.Held {
	h := cohort.Held{RowKey: holders.RowKey{Origin: "malloc", GoCaller: caller, CLeaf: "malloc"},
		Bytes: bytes, Why: &cohort.Why{Class: class, Shows: shows}}
	if class == cohort.Leak {
		h.Leaked, h.PerHour = bytes, bytes/2
	}
	return h
}

func holding(rows ...cohort.Held) func() *Situation {
	return changed(func(s *Situation) { s.Held = rows })
}

const (
	allLives = "of what was allocated 10m to 20m ago, all still lives"
	holds    = "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. "
)

var ageCases = []verdictCase{
	{"leak", "one", holding(held(cohort.Leak, 60*mib, "main.grab", allLives)),
		"Leak: 60.0 MiB that stays, and 30.0 MiB an hour more: by main.grab through malloc, " +
			"60.0 MiB (" + allLives + "). `cgoheap top --why 4242` shows why each is still there."},
	{"leak", "five", changed(func(s *Situation) {
		s.Held = []cohort.Held{held(cohort.Cache, 50*mib, "main.b", ""),
			held(cohort.Leak, 30*mib, "main.d", "D"), held(cohort.Leak, 60*mib, "main.a", "A"),
			held(cohort.Leak, 40*mib, "main.c", "C"), held(cohort.Leak, 2*mib, "main.e", "E"),
			held(cohort.Leak, 2, "main.f", "F")}
		s.Held[3].IsNew = true
	}), "Leak: 132.0 MiB that stays, and 66.0 MiB an hour more: by main.a through malloc, " +
		"60.0 MiB (A); main.c through malloc, 40.0 MiB (C); main.d through malloc, 30.0 MiB (D); " +
		"2 rows more. A cache that still fills looks the same: look again when the cohorts are " +
		"older. `cgoheap top --why 4242` shows why each is still there."},
	{"leak", "a small one", holding(held(cohort.Leak, 3*mib, "main.grab", allLives)), ""},
	{"leak", "a cache", holding(held(cohort.Cache, 60*mib, "main.grab", "a cache: X")), ""},

	{"c_live", "classes by age", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(2*time.Hour, account.CLive, 0)
		s.Held = []cohort.Held{held(cohort.Cache, 400*mib, "main.a", ""),
			held(cohort.Churn, 300*mib, "main.b", ""), held(cohort.WarmUp, 100*mib, "main.c", ""),
			held(cohort.TooEarly, 90*mib, "main.d", ""), held(cohort.Cache, 10*mib, "main.e", "")}
	}), holds + "It has not grown in 2h; without load a leak does not grow either. " +
		"By the age of its blocks, 410.0 MiB is a cache, 100.0 MiB is from a warm-up and " +
		"300.0 MiB is churn; of 90.0 MiB it is too early to say whether it leaks."},
	{"c_live", "classes by age at the first look", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib)
		s.Held = []cohort.Held{held(cohort.Leak, 400*mib, "main.a", "A")}
	}), holds + "By the age of its blocks, 400.0 MiB is held by what leaks."},
	{"c_live", "too early for all of it", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(time.Minute, account.CLive, 0)
		s.Held = []cohort.Held{held(cohort.TooEarly, 400*mib, "main.a", "")}
	}), holds + "It has not grown in 1m, which is too short to tell."},
	{"c_live_grows", "which is a cache that fills", changed(func(s *Situation) {
		s.after(2*time.Hour, account.CLive, 40*mib)
		s.Held = []cohort.Held{held(cohort.Cache, 90*mib, "main.a", "")}
	}), "C live grew by 40.0 MiB in 2h (20.0 MiB an hour since 01:00), " +
		"to 100.0 MiB (10 % of RSS). By the age of its blocks, 90.0 MiB is a cache. " +
		"`cgoheap top --why 4242` shows what stays."},
}
