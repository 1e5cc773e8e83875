package verbs

import (
	"cmp"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"cgoheap.example/cli/internal/release"
)

// What a user who mistypes sees, to the letter; the exit code is 2.
func TestUsageErrors(t *testing.T) {
	for _, c := range []struct{ args, err string }{
		{"frobnicate", `unknown verb "frobnicate"; cgoheap help lists the verbs`},
		{"collect 1 --url ftp://x", "collect: invalid --url: expected a URL such as " +
			"http://127.0.0.1:6060/debug/pprof; see cgoheap collect --help"},
		{"collect 1 --every 10m", "collect: --every and --for belong together: " +
			"--every 10m --for 2h; see cgoheap collect --help"},
		{"collect 1 --every 10m --for 5m", "collect: --for 5m ends before the second scene, " +
			"which --every 10m takes; see cgoheap collect --help"},
		{"collect 1 --url h --every 10s --for 5m", "collect: --every 10s is shorter than what " +
			"one scene takes (--cpu and --trace: 30s); see cgoheap collect --help"},
		{"collect 1 --keep 3", "collect: --keep is for a series: --every 10m --for 2h; " +
			"see cgoheap collect --help"},
		{"collect 1 -o -",
			"collect: -o - is for an archive: add --tar; see cgoheap collect --help"},
		{"help frobnicate", `unknown verb "frobnicate"; cgoheap help lists the verbs`},
		{"tpo", `unknown verb "tpo" (did you mean top?); cgoheap help lists the verbs`},
		{"expalin 12",
			`unknown verb "expalin" (did you mean explain?); cgoheap help lists the verbs`},
		{"help doctr", `unknown verb "doctr" (did you mean doctor?); cgoheap help lists the verbs`},
		{"sample 12", `unknown verb "sample"; cgoheap help lists the verbs`},
		{"top 0", `top: "0" is not a process ID; see cgoheap top --help`},
		{"top 12 13", `top: unexpected argument "13"; see cgoheap top --help`},
		{"top 12 --bogus", "top: unknown flag --bogus; see cgoheap top --help"},
		{"top -n", "top: -n needs a value; see cgoheap top --help"},
		{"top 12 -n 0",
			`top: invalid -n "0": expected a number from 1 to 100000; see cgoheap top --help`},
		{"top --interval=x 12",
			`top: invalid --interval "x": expected a time from 100ms to 1d, such as 30s or 10m; ` +
				`see cgoheap top --help`},
		{"top --sort name 12",
			`top: invalid --sort "name": expected one of inuse, growth, objects; see cgoheap top ` +
				`--help`},
		{"top --once=1 12", "top: --once takes no value; see cgoheap top --help"},
		{"list 12", `list: unexpected argument "12"; see cgoheap list --help`},
		{"profile 12 --second 3", "profile: unknown flag --second (did you mean --seconds?); see " +
			"cgoheap profile --help"},
		{"doctor -1", "doctor: unknown flag -1; see cgoheap doctor --help"},
		{"profile 0", `profile: "0" is not a process ID; see cgoheap profile --help`},
		{"profile 12 --seconds 5 --older 10m", "profile: --seconds and --older cannot be " +
			"combined: a block that reaches that age meanwhile would count as growth; see " +
			"cgoheap profile --help"},
		{"profile 12 --memory --raw", "profile: --memory always saves one profile, with names: " +
			"it cannot be combined with --raw, --all-frames or --text; see cgoheap profile --help"},
		{"profile 12 --memory --text", "profile: --memory always saves one profile, with names: " +
			"it cannot be combined with --raw, --all-frames or --text; see cgoheap profile --help"},
		{"profile 12 --peak --pinned", "profile: --peak, --frees and --pinned cannot be " +
			"combined: each is another profile; see cgoheap profile --help"},
		{"profile 12 --peak --older 1m", "profile: --peak cannot be combined with --memory, " +
			"--seconds or --older; see cgoheap profile --help"},
		{"profile 12 --reset", "profile: --of and --reset say which peak: they need --peak; " +
			"see cgoheap profile --help"},
		{"profile a.cgoheap", "profile: a profile of \"a.cgoheap\" at its end is what cgoheap " +
			"autopsy a.cgoheap -o FILE saves; --peak reads its peak; see cgoheap profile --help"},
		{"profile a.cgoheap --peak --reset", "profile: --reset is for a process: " +
			"\"a.cgoheap\" is a recording; see cgoheap profile --help"},
		{"profile 12 --age --older 1m", "profile: --age cannot be combined with --memory, " +
			"--seconds, --older, --peak, --frees or --pinned; see cgoheap profile --help"},
		{"profile 12 --raw --text", "profile: --raw and --text cannot be combined: one omits the " +
			"names, the other is for reading them; see cgoheap profile --help"},
		{"profile 12 --seconds 3601",
			`profile: invalid --seconds "3601": expected a number from 1 to 3600; see cgoheap ` +
				`profile --help`},
		{"profile 12 --older soon",
			`profile: invalid --older "soon": expected a time from 0s to 3650d, such as 30s or ` +
				`10m; see cgoheap profile --help`},
		{"profile 12 --memory --seconds 5", "profile: --memory shows what is resident now: it " +
			"cannot be combined with --seconds or --older; see cgoheap profile --help"},
		{"profile 12 --older 5s --memory", "profile: --memory shows what is resident now: it " +
			"cannot be combined with --seconds or --older; see cgoheap profile --help"},
		{"explain 12 --watch", "explain: unknown flag --watch; see cgoheap explain --help"},
		{"explain 12 --go-pprof", "explain: --go-pprof needs a value; see cgoheap explain --help"},
		{"explain 12 --go-pprof unix:///x",
			`explain: invalid --go-pprof "unix:///x": expected a URL such as ` +
				`http://127.0.0.1:6060/debug/pprof/heap; see cgoheap explain --help`},
		{"explain 12 --go-pprof http://",
			`explain: invalid --go-pprof "http://": expected a URL such as ` +
				`http://127.0.0.1:6060/debug/pprof/heap; see cgoheap explain --help`},
		{"autopsy x.cgoheap -o -", "autopsy: -o - would mix a profile with the text on stdout: " +
			"name a file; see cgoheap autopsy --help"},
		{"autopsy", "autopsy: FILE or DIRECTORY is missing; see cgoheap autopsy --help"},
		{"trim 12 all", `trim: unexpected argument "all"; see cgoheap trim --help`},
		{"sampling --for 10m", "sampling: --for and --sample-bytes need on: cgoheap sampling PID " +
			"on --for 10m; see cgoheap sampling --help"},
		{"sampling 12 13 on", `sampling: unexpected argument "13"; see cgoheap sampling --help`},
		{"sampling 12 maybe",
			`sampling: invalid state "maybe": expected on or off; see cgoheap sampling --help`},
		{"sampling 12 off --for 10m", "sampling: --for and --sample-bytes need on: cgoheap " +
			"sampling 12 on --for 10m; see cgoheap sampling --help"},
		{"sampling 12 --sample-bytes 1", "sampling: --for and --sample-bytes need on: cgoheap " +
			"sampling 12 on --for 10m; see cgoheap sampling --help"},
		{"sampling 12 on --sample-bytes 0",
			`sampling: invalid --sample-bytes "0": expected bytes from 1 to 1GiB, such as 65536 ` +
				`or 512KiB; see cgoheap sampling --help`},
		{"run", "run: PROGRAM is missing; see cgoheap run --help"},
		{"run --dormant --", "run: PROGRAM is missing; see cgoheap run --help"},
		{"run --sample-bytes 2GiB true",
			`run: invalid --sample-bytes "2GiB": expected bytes from 1 to 1GiB, such as 65536 or ` +
				`512KiB; see cgoheap run --help`},
		{"run --max-memory 1MiB true",
			`run: invalid --max-memory "1MiB": expected bytes from 4MiB to 1GiB, such as 65536 ` +
				`or 512KiB; see cgoheap run --help`},
		{"run --listen 0.0.0.0:1 true",
			`run: invalid --listen "0.0.0.0:1": expected a loopback address such as ` +
				`127.0.0.1:6061; see cgoheap run --help`},
		{"run --listen 127.0.0.1:70000 true",
			`run: invalid --listen "127.0.0.1:70000": expected a loopback address such as ` +
				`127.0.0.1:6061; see cgoheap run --help`},
		{"run --socket /" + strings.Repeat("s", 107) + " true", `run: invalid --socket "/` +
			strings.Repeat("s", 107) +
			`": expected a path of at most 107 bytes; see cgoheap run --help`},
		{"version now", `version: unexpected argument "now"; see cgoheap version --help`},
	} {
		var out, errs strings.Builder
		code := execute(stdio{out: &out, err: &errs}, strings.Fields(c.args))
		if code != exitUsage || out.Len() != 0 || errs.String() != "cgoheap: "+c.err+"\n" {
			t.Errorf("cgoheap %s: exit code %d, stdout %q, stderr\n%swant\ncgoheap: %s", c.args,
				code, out.String(), errs.String(), c.err)
		}
	}
}

func TestNoArgumentsIsUsage(t *testing.T) {
	cgoheap(t).want(t, exitUsage, "", usage())
}

func TestHelp(t *testing.T) {
	cgoheap(t, "help").want(t, 0, usage(), "")
	cgoheap(t, "--help").want(t, 0, usage(), "")
	for _, v := range verbs() {
		cgoheap(t, v.name, "--help").want(t, 0, v.help, "")
		cgoheap(t, "help", v.name).want(t, 0, v.help, "")
		if !strings.HasPrefix(v.help, "usage: cgoheap "+v.name) {
			t.Errorf("the help of %s does not begin with its usage", v.name)
		}
	}
	// Among the arguments too, but not where it is the program's.
	cgoheap(t, "top", "12", "-n", "3", "--help").want(t, 0, topHelp, "")
	cgoheap(t, "run", "--sample-bytes", "1", "--help").want(t, 0, runHelp, "")
}

func TestVersion(t *testing.T) {
	want := "cgoheap dev, commit " + cmp.Or(release.BuiltFrom(), "unknown") + ", " +
		runtime.Version() + "\n"
	cgoheap(t, "version").want(t, 0, want, "")
	cgoheap(t, "--version").want(t, 0, want, "")
}

func TestFlagsStandAnywhere(t *testing.T) {
	for _, line := range []string{"12 -n 3 --once", "-n 3 12 --once", "--once -n=3 12",
		"--once -n 3 -- 12"} {
		o, wanted, err := parseTop(strings.Fields(line))
		if err != nil || wanted != "12" || o.rows != 3 || !o.once {
			t.Errorf("%s: %+v, %s, %v", line, o, wanted, err)
		}
	}
}

// A reader that went away is no reason for a complaint.
func TestBrokenPipe(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer write.Close()
	c := command(nil, "help")
	var errs strings.Builder
	c.Stdout, c.Stderr = write, &errs
	_ = c.Run()
	status, ok := c.ProcessState.Sys().(syscall.WaitStatus)
	if errs.Len() != 0 || !ok || !status.Signaled() || status.Signal() != syscall.SIGPIPE {
		t.Errorf("%v, stderr %q", c.ProcessState, errs.String())
	}
}
