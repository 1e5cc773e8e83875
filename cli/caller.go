package main

import (
	"debug/buildinfo"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Which Go function of a stack is called its caller.  The innermost one is often a wrapper
// (go-sqlite3's, purego's), the outermost always main.main: the innermost function of the
// main module is the line that a person of this program would look at.

const (
	callerModule    = "module"
	callerInnermost = "innermost"
)

// callerRule is used by every output that names a caller.  nil is the default rule for a
// program of which the module is not known.
type callerRule struct {
	innermost bool
	pattern   *regexp.Regexp // the innermost function that matches, where one does
	module    string         // path of the main module, "" not known
	libraries []string       // paths of the modules it was built with
	nameless  []string       // base names of files of which nothing could be read
	noModules bool           // not even which files there were
}

// addFlag adds --caller, which sets how the rule decides.
func (r *callerRule) addFlag(f *flags) {
	f.add("--caller", &flagSpec{set: func(v string) error {
		switch v {
		case callerModule:
			r.innermost, r.pattern = false, nil
		case callerInnermost:
			r.innermost, r.pattern = true, nil
		default:
			pattern, err := regexp.Compile(v)
			if err != nil || v == "" {
				return usagef("wants %s, %s or a regular expression", callerModule, callerInnermost)
			}
			r.innermost, r.pattern = false, pattern
		}
		return nil
	}})
}

// know reads what the binary says of its modules; without that only package main is known.
func (r *callerRule) know(binary string) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return
	}
	r.module = info.Main.Path
	if r.module == "" && info.Path != "command-line-arguments" {
		r.module = info.Path
	}
	for _, m := range info.Deps {
		r.libraries = append(r.libraries, m.Path)
	}
}

// userCaller is the function that the rule chooses; "" a person wrote none of them.
func (r *callerRule) userCaller(frames []frame) string {
	if r == nil {
		r = &callerRule{}
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
func (r *callerRule) ofModule(frames []frame) string {
	users := userGo(behindAllocator(frames))
	if at := slices.IndexFunc(users, func(name string) bool { return r.isMain(packageOf(name)) }); at >= 0 {
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

func (r *callerRule) isMain(pkg string) bool {
	return pkg == "main" || within(pkg, r.module)
}

// isStandard: import paths of the standard library begin with no domain.
func (r *callerRule) isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".") && !slices.ContainsFunc(r.libraries, func(m string) bool { return within(pkg, m) })
}

// goRuntime is the caller where Go's runtime asked for itself: for a thread, as a rule.
const goRuntime = "(Go runtime)"

// goCaller is the function that the rule chooses; without one, who else asked.
func (r *callerRule) goCaller(frames []frame) string {
	if name := r.userCaller(frames); name != "" {
		return name
	}
	if slices.ContainsFunc(frames, func(f frame) bool { return f.isGo && isRuntime(f.name) && !isCrossing(f.name) }) {
		return goRuntime
	}
	if file := r.withoutNames(frames); file != "" {
		return "(no names: " + file + " is missing)"
	}
	if r != nil && r.noModules {
		return "(no names: the table of modules is missing)"
	}
	return "(C thread) " + threadRoot(frames)
}

// withoutNames is the file whose code is in the stack and of which nothing could be read: who asked may be in it.
func (r *callerRule) withoutNames(frames []frame) string {
	if r == nil {
		return ""
	}
	for _, f := range frames {
		for _, file := range r.nameless {
			if strings.HasPrefix(f.name, file+"+0x") {
				return file
			}
		}
	}
	return ""
}

// classify answers who asked and who called the allocator.
func (r *callerRule) classify(frames []frame) rowKey {
	return rowKey{GoCaller: r.goCaller(frames), CLeaf: cLeaf(frames)}
}

// behindAllocator leaves out an allocator that the program gave to C code, a Go function
// which C code called and which calls malloc itself: the memory is for who called that C code.
func behindAllocator(frames []frame) []frame {
	at := slices.IndexFunc(frames, func(f frame) bool { return f.isGo && !isRuntime(f.name) })
	if at < 1 || !isAllocatorCall(frames[at].name, frames[0].name) {
		return frames
	}
	for i := at; i < len(frames); i++ {
		_, function := splitGoName(frames[i].name)
		switch {
		case function == "_Cfunc_CString" || function == "_Cfunc_CBytes":
			return frames
		case !frames[i].isGo && !strings.HasPrefix(frames[i].name, "_cgo_"):
			if len(userGo(frames[at:i])) == 0 || len(userGo(frames[i:])) == 0 {
				return frames
			}
			return frames[i:]
		}
	}
	return frames
}

// isAllocatorCall: what cgo makes for C.malloc, C.calloc and the like.
func isAllocatorCall(name, leaf string) bool {
	_, function := splitGoName(name)
	switch function {
	case "_Cfunc__CMalloc", "_Cfunc__Cmalloc", "_cgo_cmalloc", "_Cfunc_" + leaf, "_C2func_" + leaf:
		return true
	}
	return false
}

// isRuntime: also that of programs without cgo which call C all the same (purego).
func isRuntime(name string) bool {
	return strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "runtime/cgo.") || strings.Contains(name, "/fakecgo.") ||
		name == "crosscall2"
}

// userGo are the names of the Go functions that a person wrote, innermost first.
func userGo(frames []frame) []string {
	var names []string
	for i, f := range frames {
		if isUserGo(f) && !isCheckOfCgo(frames[i:], i > 0 && isCgoStub(frames[i-1].name)) && !isRuntimeLiteral(frames[i:]) {
			names = append(names, f.name)
		}
	}
	return names
}

// isUserGo leaves out the runtime and what cgo generates.
func isUserGo(f frame) bool {
	if !f.isGo || isRuntime(f.name) {
		return false
	}
	_, function := splitGoName(f.name)
	return !isCgoStub(f.name) && !strings.HasPrefix(function, "_cgoexp_") && !strings.HasPrefix(function, "_cgo_")
}

// isCgoStub: the Go function that cgo makes for a C function.
func isCgoStub(name string) bool {
	_, function := splitGoName(name)
	return strings.HasPrefix(function, "_Cfunc_") || strings.HasPrefix(function, "_C2func_")
}

// isCheckOfCgo: cgo makes a closure around a call that passes pointers, to check them.  It is
// f.func1, which f itself calls and which calls the stub; the source has no such function.
func isCheckOfCgo(frames []frame, callsStub bool) bool {
	if !callsStub || len(frames) < 2 || !frames[1].isGo {
		return false
	}
	parent, number, found := cutLast(frames[0].name)
	if !found || !closureNumber.MatchString(number) {
		return false
	}
	// Only the last parts: where f was inlined, its closure bears the name of f's caller before its own.
	_, enclosing, _ := cutLast(parent)
	_, caller, _ := cutLast(frames[1].name)
	return enclosing == caller
}

// isRuntimeLiteral: Go 1.27 gives function literals of functions with a linkname (runtime.goready) "_" for
// a package.  What the runtime calls is its own, but for the first function of a goroutine.
func isRuntimeLiteral(frames []frame) bool {
	pkg, _ := splitGoName(frames[0].name)
	return pkg == "_" && len(frames) > 1 && isRuntime(frames[1].name) && frames[1].name != "runtime.goexit"
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
