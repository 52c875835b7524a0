package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestPatchSource applies patches, the same ones again, others in their place, and
// one that does not fit.
func TestPatchSource(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "linux-source-6.12")
	const before = "one\ntwo\nthree\nfour\nfive\n"
	writeFiles(t, dir, map[string]string{"init/main.c": before})
	diff := func(from, to string) string {
		return "why\n\n--- a/init/main.c\n+++ b/init/main.c\n@@ -1,5 +1,5 @@\n one\n two\n-" + from + "\n+" + to + "\n four\n five\n"
	}
	src := kernelSource{dir: dir, version: "linux-source-6.12", content: "c", cached: true}
	contents := map[string]string{} // of the source: the step that had it
	for _, step := range []struct {
		name    string
		patches map[string]string
		want    string // the third line
		log     string
	}{
		{"none", nil, "three", ""},
		{"one", map[string]string{"a": diff("three", "3")}, "3", ""},
		{"the same again", map[string]string{"a": diff("three", "3")}, "3", ""},
		{"another", map[string]string{"a": diff("three", "THREE")}, "THREE", ""},
		{"two, one on the other", map[string]string{"a": diff("three", "3"), "b": diff("3", "iii")}, "iii", ""},
		{"one that does not fit", map[string]string{"a": diff("seven", "7"), "b": diff("three", "3")}, "3", "patches/a.patch does not fit linux-source-6.12: built without it\n"},
		{"none of them again", nil, "three", ""},
	} {
		fsys := fstest.MapFS{}
		for name, text := range step.patches {
			fsys["patches/"+name+".patch"] = &fstest.MapFile{Data: []byte(text)}
		}
		var log strings.Builder
		got, err := patchSource(t.Context(), src, fsys, &log)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "init/main.c"))
		if want := strings.Replace(before, "three", step.want, 1); err != nil || string(text) != want {
			t.Errorf("%s: the file is %q, %v, want %q", step.name, text, err, want)
		}
		if log.String() != step.log {
			t.Errorf("%s: said %q, want %q", step.name, log.String(), step.log)
		}
		if other, ok := contents[got.content]; ok && step.name != "the same again" && step.name != "none of them again" {
			t.Errorf("%s: the source counts as the same as with %q", step.name, other)
		}
		contents[got.content] = step.name
		if left, _ := filepath.Glob(filepath.Join(dir, "init/*")); len(left) != 1 {
			t.Errorf("%s: left %q", step.name, left)
		}
	}
}

// TestPatchTakenBack refuses a tree in which somebody has changed what was patched.
func TestPatchTakenBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "linux-source-6.12")
	writeFiles(t, dir, map[string]string{"f": "other\n", patchesFile: "wanted: x\n" + patchesMark + "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+new\n"})
	_, err := patchSource(t.Context(), kernelSource{dir: dir}, fstest.MapFS{}, t.Output())
	if !matches(err, "remove the directory to have it unpacked again") {
		t.Errorf("patchSource error = %v", err)
	}
}
