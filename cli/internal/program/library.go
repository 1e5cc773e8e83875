package program

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/termtext"
)

// Checks of the library and of what it finds: the program's libc, a place for its socket.

// CheckLibrary looks for what the library asks for in the program's libc, if that is known.
func CheckLibrary(library string, err error, f *Facts) Check {
	const name = "library"
	if err != nil {
		return Fail(name, "", "%s", err)
	}
	damaged := func(err error) Check {
		return Fail(name, "copy it again, from where it was built", "%s cannot be read: %s",
			termtext.Quote(library), termtext.Escape(err.Error()))
	}
	e, err := elf.Open(library)
	if err != nil {
		return damaged(err)
	}
	e.Close()
	if e.Machine != f.machine {
		return Fail(name, "use the "+attach.LibraryName+" for "+machineName(f.machine)+
			": name it with --library", "%s is for %s, and the program for %s",
			termtext.Quote(library), machineName(e.Machine), machineName(f.machine))
	}
	libc := f.Libc()
	if libc == nil || libc.kind != glibc && libc.kind != musl {
		return OK(name, "%s", termtext.Escape(library))
	}
	missing, err := libc.lacks(library)
	if err != nil {
		return damaged(err)
	}
	if len(missing) > 0 {
		return Fail(name, "use the "+attach.LibraryName+" that comes with this command",
			"%s asks for what the program's %s has not: %s", termtext.Quote(library), libc,
			termtext.Escape(listSome(missing, 3)))
	}
	return OK(name, "%s", termtext.Escape(library))
}

func machineName(machine elf.Machine) string {
	if name := machines[machine]; name != "" {
		return name
	}
	return strings.ToLower(strings.TrimPrefix(machine.String(), "EM_"))
}

// CheckProc is nil if the process has a /proc.
func CheckProc(p *attach.Process) *Check {
	if p.SeesProc() {
		return nil
	}
	c := Warn("proc", "mount /proc in its container", "there is no /proc in its root directory: "+
		"its account is unknown, and its stacks have addresses without names")
	return &c
}

// CheckPlaces says where the library will put its socket, in a process with this environment.
func CheckPlaces(p *attach.Process, env map[string]string) Check {
	const name = "socket"
	const remedy = "mount a writable directory at /tmp, or set CGOHEAP_SOCKET to a path that the " +
		"program can write"
	given := env["CGOHEAP_SOCKET"]
	if given != "" && len(given) <= attach.MaxSocketBytes {
		return checkGiven(p, given)
	}
	var problems []string
	refused := false
	for _, place := range p.Places(env) {
		refused = refused || place.IsRefused
		why := strings.Join(problems, ", and ")
		switch {
		case place.Problem != "":
			problems = append(problems, place.Problem)
		case refused:
			return Warn(name, "", "will be in %s, because %s", termtext.Escape(place.Dir), why)
		case why != "":
			return OK(name, "will be in %s, because %s", termtext.Escape(place.Dir), why)
		default:
			return OK(name, "will be in %s", termtext.Escape(place.Dir))
		}
	}
	why := strings.Join(problems, ", and ")
	if listen := env["CGOHEAP_LISTEN"]; listen != "" {
		return Warn(name, remedy, "no place for it: %s; it will answer at %s alone "+
			"(CGOHEAP_LISTEN)", why, termtext.Escape(listen))
	}
	return Fail(name, remedy, "no place for it: %s", why)
}

// CheckPreload lists what LD_PRELOAD has already: it is kept, after our library.
func CheckPreload(preload string, isLibrary func(path string) bool) []Check {
	others := attach.OtherPreloads(preload, isLibrary)
	if len(others) == 0 {
		return nil
	}
	return []Check{OK("preload", "%s stays preloaded, after cgoheap",
		termtext.Escape(strings.Join(others, ", ")))}
}

func checkGiven(p *attach.Process, given string) Check {
	if problem := p.GivenPlace(given).Problem; problem != "" {
		return Fail("socket", "set CGOHEAP_SOCKET to a path that the program can write, or leave "+
			"it out", "cannot be at %s (CGOHEAP_SOCKET): %s", termtext.Escape(given), problem)
	}
	return OK("socket", "will be at %s (CGOHEAP_SOCKET)", termtext.Escape(given))
}

// WhyNotLoaded says why a process has not loaded what LD_PRELOAD names.
func WhyNotLoaded(p *attach.Process, f *Facts, preload string) string {
	shown := termtext.Quote(preload)
	file, err := p.OpenFile(preload)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("LD_PRELOAD names %s, which is not there in the process's own file "+
			"system (its container's)", shown)
	case err != nil:
		return fmt.Sprintf("LD_PRELOAD names %s, which the process cannot read", shown)
	}
	defer file.Close()
	e, err := elf.NewFile(file)
	switch {
	case err != nil:
		return fmt.Sprintf("LD_PRELOAD names %s, which is no library", shown)
	case e.Machine != f.machine:
		return fmt.Sprintf("LD_PRELOAD names %s, which is for %s, and the program is for %s", shown,
			machineName(e.Machine), machineName(f.machine))
	}
	return fmt.Sprintf("LD_PRELOAD names %s, but the loader did not load it: it was put there "+
		"later, or LD_PRELOAD was ignored, as for programs that change their user", shown)
}
