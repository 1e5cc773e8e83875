package stacks

import "testing"

func TestSplitGoName(t *testing.T) {
	for name, want := range map[string][2]string{
		"main.f":                          {"main", "f"},
		"github.com/a/go-b.(*T).f":        {"github.com/a/go-b", "(*T).f"},
		"gopkg.in/yaml.v3.f":              {"gopkg.in/yaml", "v3.f"},
		"main.f[go.shape.int]":            {"main", "f[go.shape.int]"},
		"a/b.Map[example.com/c/d.T].each": {"a/b", "Map[example.com/c/d.T].each"},
		"nodot":                           {"", "nodot"},
	} {
		pkg, function := splitGoName(name)
		if pkg != want[0] || function != want[1] {
			t.Errorf("splitGoName(%q) = %q, %q", name, pkg, function)
		}
	}
}
