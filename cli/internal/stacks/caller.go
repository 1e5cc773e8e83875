package stacks

import (
	"debug/buildinfo"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Which Go function of a stack is called its caller.  The innermost one is often a wrapper
// (go-sqlite3's, purego's), the outermost always main.main: the innermost function of the
// main module is the line that an author of this program would look for.

const (
	callerModule    = "module"
	callerInnermost = "innermost"
)

// CallerRule decides which caller an output names.  nil is the default rule for a program
// whose module is unknown.
type CallerRule struct {
	innermost bool
	pattern   *regexp.Regexp // the innermost function that matches, where one does
	Module    string         // path of the main module, "" not known
	Libraries []string       // paths of the modules it was built with
	Nameless  []string       // base names of files of which nothing could be read
	NoModules bool           // not even which files there were
}

// Set takes the value of --caller; its error says what that wants.
func (r *CallerRule) Set(value string) error {
	switch value {
	case callerModule:
		r.innermost, r.pattern = false, nil
	case callerInnermost:
		r.innermost, r.pattern = true, nil
	default:
		pattern, err := regexp.Compile(value)
		if err != nil || value == "" {
			return fmt.Errorf("%s, %s or a regular expression", callerModule, callerInnermost)
		}
		r.innermost, r.pattern = false, pattern
	}
	return nil
}

// Know reads the binary's module paths; without them only package main is known.
func (r *CallerRule) Know(binary string) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return
	}
	r.Module = info.Main.Path
	if r.Module == "" && info.Path != "command-line-arguments" {
		r.Module = info.Path
	}
	for _, m := range info.Deps {
		r.Libraries = append(r.Libraries, m.Path)
	}
}

// UserCaller is the function that the rule chooses; "": the stack has no user's Go function.
func (r *CallerRule) UserCaller(frames []Frame) string {
	if r == nil {
		r = &CallerRule{}
	}
	if users := userGo(frames); r.innermost {
		return first(users)
	} else if r.pattern != nil {
		if at := slices.IndexFunc(users, r.pattern.MatchString); at >= 0 {
			return users[at]
		}
	}
	return r.ofModule(frames)
}

// ofModule is the innermost function of the main module, else the outermost of a library.
func (r *CallerRule) ofModule(frames []Frame) string {
	users := userGo(behindAllocator(frames))
	isMain := func(name string) bool { return r.isMain(packageOf(name)) }
	if at := slices.IndexFunc(users, isMain); at >= 0 {
		return users[at]
	}
	for i := len(users) - 1; i >= 0; i-- {
		if !r.isStandard(packageOf(users[i])) {
			return users[i]
		}
	}
	return first(users)
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// packageOf is a function's import path; in a symbol's name its dots are escaped.
func packageOf(name string) string {
	pkg, _ := splitGoName(name)
	if plain, err := url.PathUnescape(pkg); err == nil {
		return plain
	}
	return pkg
}

func within(pkg, module string) bool {
	return module != "" && (pkg == module || strings.HasPrefix(pkg, module+"/"))
}

func (r *CallerRule) isMain(pkg string) bool {
	return pkg == "main" || within(pkg, r.Module)
}

// isStandard: import paths of the standard library begin with no domain.
func (r *CallerRule) isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	inModule := func(module string) bool { return within(pkg, module) }
	return !strings.Contains(first, ".") && !slices.ContainsFunc(r.Libraries, inModule)
}

// GoRuntime is the caller where Go's runtime allocated for itself, usually for a thread.
const GoRuntime = "(Go runtime)"

// GoCaller is the function that the rule chooses; without one, who else asked.
func (r *CallerRule) GoCaller(frames []Frame) string {
	if name := r.UserCaller(frames); name != "" {
		return name
	}
	ofRuntime := func(f Frame) bool { return f.isGo && isRuntime(f.Name) && !isCrossing(f.Name) }
	if slices.ContainsFunc(frames, ofRuntime) {
		return GoRuntime
	}
	if file := r.withoutNames(frames); file != "" {
		return "(no names: " + file + " is missing)"
	}
	if r != nil && r.NoModules {
		return "(no names: the table of modules is missing)"
	}
	return "(C thread) " + threadRoot(frames)
}

// withoutNames is a file in the stack that has no readable names: the caller may be in it.
func (r *CallerRule) withoutNames(frames []Frame) string {
	if r == nil {
		return ""
	}
	for _, f := range frames {
		for _, file := range r.Nameless {
			if strings.HasPrefix(f.Name, file+"+0x") {
				return file
			}
		}
	}
	return ""
}

// behindAllocator drops an allocator that the program gave to C code: a Go function that C
// code calls and that calls malloc.  The memory belongs to the caller of that C code.
func behindAllocator(frames []Frame) []Frame {
	at := slices.IndexFunc(frames, func(f Frame) bool { return f.isGo && !isRuntime(f.Name) })
	if at < 1 || !isAllocatorCall(frames[at].Name, frames[0].Name) {
		return frames
	}
	for i := at; i < len(frames); i++ {
		_, function := splitGoName(frames[i].Name)
		switch {
		case function == "_Cfunc_CString" || function == "_Cfunc_CBytes":
			return frames
		case !frames[i].isGo && !strings.HasPrefix(frames[i].Name, "_cgo_"):
			if len(userGo(frames[at:i])) == 0 || len(userGo(frames[i:])) == 0 {
				return frames
			}
			return frames[i:]
		}
	}
	return frames
}

// isAllocatorCall: cgo's stubs for C.malloc, C.calloc and the like.
func isAllocatorCall(name, leaf string) bool {
	_, function := splitGoName(name)
	switch function {
	case "_Cfunc__CMalloc", "_Cfunc__Cmalloc", "_cgo_cmalloc", "_Cfunc_" + leaf, "_C2func_" + leaf:
		return true
	}
	return false
}

// isRuntime includes the runtime of programs that call C without cgo (purego).
func isRuntime(name string) bool {
	return hasPrefix(name, "runtime.", "runtime/cgo.") || strings.Contains(name, "/fakecgo.") ||
		name == "crosscall2"
}

// userGo are the names of the user's Go functions, innermost first.
func userGo(frames []Frame) []string {
	var names []string
	for i, f := range frames {
		callsStub := i > 0 && isCgoStub(frames[i-1].Name)
		if isUserGo(f) && !isCheckOfCgo(frames[i:], callsStub) && !isRuntimeLiteral(frames[i:]) {
			names = append(names, f.Name)
		}
	}
	return names
}

// isUserGo leaves out the runtime and what cgo generates.
func isUserGo(f Frame) bool {
	if !f.isGo || isRuntime(f.Name) {
		return false
	}
	_, function := splitGoName(f.Name)
	return !isCgoStub(f.Name) && !hasPrefix(function, "_cgoexp_", "_cgo_")
}

// isCgoStub: the Go function that cgo makes for a C function.
func isCgoStub(name string) bool {
	_, function := splitGoName(name)
	return hasPrefix(function, "_Cfunc_", "_C2func_")
}

// isCheckOfCgo: cgo makes a closure around a call that passes pointers, to check them.  It is
// f.func1, which f itself calls and which calls the stub; the source has no such function.
func isCheckOfCgo(frames []Frame, callsStub bool) bool {
	if !callsStub || len(frames) < 2 || !frames[1].isGo {
		return false
	}
	parent, number, found := cutLast(frames[0].Name)
	if !found || !closureNumber.MatchString(number) {
		return false
	}
	// Only the last parts: where f was inlined, its closure bears the name of f's caller before
	// its own.
	_, enclosing, _ := cutLast(parent)
	_, caller, _ := cutLast(frames[1].Name)
	return enclosing == caller
}

// isRuntimeLiteral: Go 1.27 gives function literals of functions with a linkname
// (runtime.goready) "_" for a package.  What the runtime calls is its own, but for the first
// function of a goroutine.
func isRuntimeLiteral(frames []Frame) bool {
	pkg, _ := splitGoName(frames[0].Name)
	return pkg == "_" && len(frames) > 1 && isRuntime(frames[1].Name) &&
		frames[1].Name != "runtime.goexit"
}

var closureNumber = regexp.MustCompile(`^(func)?[0-9]+$`)

// cutLast cuts a function's name at its last dot; type parameters are not part of it.
func cutLast(name string) (before, last string, found bool) {
	name = strings.ReplaceAll(name, "[...]", "")
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "", name, false
	}
	return name[:dot], name[dot+1:], true
}
