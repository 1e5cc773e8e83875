// Package packages_test looks at what users deploy: the manifest for Kubernetes, against its types
// and the pod security standard, and the bill of materials, against its schema.
package packages_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	apps "k8s.io/api/apps/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

const root = "../.."

// TestManifest: Kubernetes knows every field, and would admit the pod where the standard is
// restricted.
func TestManifest(t *testing.T) {
	text, err := os.ReadFile(root + "/packaging/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d apps.Deployment
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.APIVersion != "apps/v1" || d.Kind != "Deployment" {
		t.Errorf("it is of %s %s", d.APIVersion, d.Kind)
	}
	pod := &d.Spec.Template
	e, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	evaluate := func() policy.AggregateCheckResult {
		return policy.AggregateCheckResults(e.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
	}
	if r := evaluate(); !r.Allowed {
		t.Error(r.ForbiddenDetail())
	}
	pod.Spec.InitContainers[0].SecurityContext.Capabilities = nil
	if evaluate().Allowed {
		t.Error("a container that keeps its capabilities is admitted too: nothing was evaluated")
	}
	// What the service preloads is what the init container wrote, in a volume that both mount.
	from, to := pod.Spec.InitContainers[0], pod.Spec.Containers[0]
	dir := from.Args[len(from.Args)-1]
	for _, c := range []struct{ what, is, want string }{
		{"LD_PRELOAD", to.Env[0].Value, dir + "/libcgoheap.so"},
		{"the init container's path", from.VolumeMounts[0].MountPath, dir},
		{"the service's path", to.VolumeMounts[0].MountPath, dir},
		{"the service's volume", to.VolumeMounts[0].Name, from.VolumeMounts[0].Name},
	} {
		if c.is != c.want {
			t.Errorf("%s is %s, want %s", c.what, c.is, c.want)
		}
	}
}

// TestBill: what packaging/parts writes of this build is CycloneDX.
func TestBill(t *testing.T) {
	dir, build := t.TempDir(), root+"/build/"
	bill := filepath.Join(dir, "sbom.json")
	absolute := func(path string) string {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	parts := exec.Command("go", "run", "./parts", "-tree", "..", "-version", "0.0.0",
		"-library", absolute(build+"libcgoheap.so"), "-map", absolute(build+"libcgoheap.so.map"),
		"-command", absolute(build+"cgoheap"), "-sbom", bill,
		"-notices", filepath.Join(dir, "NOTICES"))
	parts.Dir = root + "/packaging"
	parts.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1")
	if said, err := parts.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text, err := os.ReadFile(bill)
	if err != nil {
		t.Fatal(err)
	}
	schema := billSchema(t)
	validate := func(text []byte) error {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		return schema.Validate(document)
	}
	if err := validate(text); err != nil {
		t.Error(err)
	}
	if validate(bytes.ReplaceAll(text, []byte(`"type": "library"`), []byte(`"type": "x"`))) == nil {
		t.Error("a bill with an unknown type of component is valid too: nothing was looked at")
	}
}

// billSchema is the one that came with the module which writes the bill.
func billSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	list.Dir = root + "/packaging"
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	c := jsonschema.NewCompiler()
	const at = "http://cyclonedx.org/schema/"
	for name, file := range map[string]string{"bom-1.5.schema.json": "bom-1.5.schema.json",
		"spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(at+name, document); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(at + "bom-1.5.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
