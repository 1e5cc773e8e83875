package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// schema is the part of JSON Schema that docs/json-schema uses.
type schema struct {
	Ref                  string `json:"$ref"`
	Const                any
	Enum                 []any
	Type                 any // a name, or a list of them
	Properties           map[string]*schema
	Required             []string
	Items                *schema
	AdditionalProperties *schema
	AllOf, AnyOf         []*schema
}

func loadSchema(t *testing.T, name string) *schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repositoryRoot(), "docs", "json-schema", name))
	if err != nil {
		t.Fatal(err)
	}
	s := &schema{}
	if err := json.Unmarshal(text, s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

func (s *schema) allows(name string) bool {
	names, isList := s.Type.([]any)
	if !isList {
		names = []any{s.Type}
	}
	for _, n := range names {
		if n == nil || n == name || n == "number" && name == "integer" {
			return true
		}
	}
	return false
}

// problems are each "PATH: what is wrong".
func (s *schema) problems(t *testing.T, path string, v any) (list []string) {
	t.Helper()
	add := func(format string,
		args ...any) {
		list = append(list, path+": "+fmt.Sprintf(format, args...))
	}
	if s.Ref != "" {
		return loadSchema(t, s.Ref).problems(t, path, v)
	}
	if s.Const != nil && v != s.Const || s.Enum != nil && !slices.Contains(s.Enum, v) {
		add("%v, want %v%v", v, s.Const, s.Enum)
	}
	if !s.allows(typeName(v)) {
		add("%s, want %v", typeName(v), s.Type)
	}
	for _, part := range s.AllOf {
		list = append(list, part.problems(t, path, v)...)
	}
	if len(s.AnyOf) > 0 {
		var all []string
		for _, part := range s.AnyOf {
			found := part.problems(t, path, v)
			if len(found) == 0 {
				all = nil
				break
			}
			all = append(all, found...)
		}
		list = append(list, all...)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				add("no %s", name)
			}
		}
		for name, value := range v {
			if p := s.Properties[name]; p != nil {
				list = append(list, p.problems(t, path+"."+name, value)...)
			} else if s.AdditionalProperties != nil {
				list = append(list, s.AdditionalProperties.problems(t, path+"."+name, value)...)
			} else if len(s.AllOf) == 0 && s.Properties != nil &&
				!strings.Contains(path, "account") {
				add("%s is not in the schema", name)
			}
		}
	case []any:
		for i, value := range v {
			if s.Items != nil {
				list = append(list, s.Items.problems(t, fmt.Sprintf("%s[%d]", path, i), value)...)
			}
		}
	}
	return list
}

// wantDocument runs a verb with --json, and holds what it prints against the schema of its kind.
func wantDocument(t *testing.T, dir, kind string, code int, args ...string) {
	t.Helper()
	out, errs, got := runCommand(t, dir, append(args, "--json")...)
	var v any
	if err := json.Unmarshal([]byte(out), &v); err != nil || got != code {
		t.Errorf("%v: exit code %d, %v\n%s%s", args, got, err, out, errs)
		return
	}
	path := kind
	if kind == "explain" || kind == "trim" {
		path = "account" // what the library says may grow without the command
	}
	for _, problem := range loadSchema(t, kind+".json").problems(t, path, v) {
		t.Errorf("%v: %s", args, problem)
	}
}

// TestJSONSchemas: of each verb that has --json, in each state of a process that shows in it.
func TestJSONSchemas(t *testing.T) {
	box, dir := boxDir(t), t.TempDir()
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1,
		env: []string{"CGOHEAP_BLACKBOX=" + box}})
	pid := fmt.Sprint(h.pid())
	both := func() {
		t.Helper()
		for kind, args := range map[string][]string{"list": {"list"}, "doctor": {"doctor", pid},
			"top": {"top", pid}, "explain": {"explain", pid},
			"sampling": {"sampling", pid}, "trim": {"trim", pid},
			"watch": {"watch", pid, "--once"}} {
			wantDocument(t, dir, kind, 0, args...)
		}
	}
	both() // nothing was sampled yet
	h.tell("alloc A 1000 1000")
	h.tell("spread 16 3 50")
	both()
	wantDocument(t, dir, "top", 0, "top", pid, "--sort", "growth", "--interval", "100ms")
	wantDocument(t, dir, "top", 0, "top", pid, "--why")
	wantDocument(t, dir, "sampling", 0, "sampling", pid, "on", "--for", "10m", "--sample-bytes",
		"65536")
	wantDocument(t, dir, "sampling", 0, "sampling", pid, "off")
	both()
	h.waitForMoments(box, 2)
	h.cmd.Process.Kill()
	<-h.ended
	wantDocument(t, dir, "autopsy", 0, "autopsy", box)
	wantDocument(t, dir, "version", 0, "version")
	wantDocument(t, dir, "doctor", 0, "doctor", h.cmd.Path)
	wantDocument(t, dir, "error", 1, "top", pid)
	wantDocument(t, dir, "error", 2, "top", "--bogus")

	help, _, _ := runCommand(t, dir, "help")
	for _, line := range strings.Split(help, "\n") {
		words := strings.Fields(line)
		if !strings.HasPrefix(line, "  ") || len(words) == 0 || words[0] == "cgoheap" ||
			words[0] == "help" {
			continue
		}
		if text, _, _ := runCommand(t, dir, words[0], "--help"); strings.Contains(text, "--json") {
			loadSchema(t, words[0]+".json")
		}
	}
}

// TestSchemaNotices: the check is one.
func TestSchemaNotices(t *testing.T) {
	const start = `{"schema":"cgoheap.version/`
	for text, want := range map[string]string{
		`1","version":"1","commit":null,"go_version":"go1"}`: "",
		`2","version":"1","commit":null,"go_version":"go1"}`: "version.schema: " +
			"cgoheap.version/2, " +
			"want cgoheap.version/1[]",
		`1","version":1,"commit":null,"go_version":"go1"}`: "version.version: " +
			"integer, want string",
		`1","version":"1","go_version":"go1"}`: "version: no commit",
		`1","version":"1","commit":null,"go_version":"go1","new":""}`: "version: new is not in " +
			"the schema",
	} {
		var v any
		if err := json.Unmarshal([]byte(start+text), &v); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(loadSchema(t, "version.json").problems(t, "version", v),
			"; "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
