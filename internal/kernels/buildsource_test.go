package kernels

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestNewestSource(t *testing.T) {
	tests := []struct {
		name  string
		names []string
		want  string
		ok    bool
	}{
		{"numbers count as numbers", []string{"linux-source-6.1", "linux-source", "linux-source-6.12", "linux-source-6.9"}, "linux-source-6.12", true},
		{"other packages", []string{"linux-source-6.1", "linux-source-7.0-rt", "linux-source-x", "linux-source-", "linux-doc-9"}, "linux-source-6.1", true},
		{"none", []string{"linux-source"}, "", false},
		{"nothing", nil, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := newestSource(tt.names); got != tt.want || ok != tt.ok {
				t.Errorf("newestSource(%q) = %q, %v, want %q, %v", tt.names, got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestTreeName(t *testing.T) {
	got := treeName(debPackage{name: "linux-source-6.12", version: "1:6.12.117-1~deb12u1"})
	if want := "linux-source-1-6.12.117-1-deb12u1"; got != want {
		t.Errorf("treeName = %q, want %q", got, want)
	}
}

func TestUnpackedSource(t *testing.T) {
	cache := t.TempDir()
	if src, ok := unpackedSource(cache); ok {
		t.Errorf("unpackedSource of an empty cache = %+v", src)
	}
	for _, name := range []string{".unpack-1", "linux-source-6.12.9-1", "linux-source-6.12.117-1-deb12u1", "other-9"} {
		if err := os.MkdirAll(filepath.Join(debianTrees(cache), name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const newest = "linux-source-6.12.117-1-deb12u1"
	src, err := findSource(t.Context(), "", cache, io.Discard)
	if err != nil || src.version != newest || src.id != "debian" {
		t.Errorf("findSource = %+v, %v, want %s", src, err, newest)
	}
	if err := removeOthers(debianTrees(cache), newest); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(debianTrees(cache), "*"))
	if err != nil || len(left) != 3 { // Glob's * matches a leading dot
		t.Errorf("after removeOthers there are %q, %v, want no older source", left, err)
	}
}

// writeFiles writes files below a directory.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDirSource(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		err   string
	}{
		{"clean", map[string]string{"scripts/kconfig/conf.c": ""}, ""},
		{"no kernel", map[string]string{"main.c": ""}, "is no kernel source"},
		{"configured", map[string]string{"scripts/kconfig/conf.c": "", ".config": ""}, "has been built in (it has .config): run make mrproper"},
		{"built", map[string]string{"scripts/kconfig/conf.c": "", "include/config/auto.conf": ""}, "has been built in (it has include/config)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, tt.files)
			src, err := dirSource(dir)
			if !matches(err, tt.err) {
				t.Fatalf("dirSource error = %v, want %q", err, tt.err)
			}
			if err == nil && (src.dir != dir || src.content == "" || src.id == "debian") {
				t.Errorf("dirSource = %+v", src)
			}
		})
	}
}

func TestTreeState(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a.c": "1", "Documentation/x": "1", ".git/index": "1"})
	before := mustState(t, dir)
	writeFiles(t, dir, map[string]string{"Documentation/x": "22", ".git/index": "22"})
	if got := mustState(t, dir); got != before {
		t.Error("the state changes with what no kernel is built from")
	}
	if err := os.Chtimes(filepath.Join(dir, "a.c"), time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := mustState(t, dir); got == before {
		t.Error("the state does not change with a file's time")
	}
}

func TestDirSourceBySymlink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "linux")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{"scripts/kconfig/conf.c": ""})
	before, err := dirSource(link)
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{"init/main.c": ""})
	after, err := dirSource(link)
	if err != nil || after.content == before.content {
		t.Errorf("the content does not change (error %v)", err)
	}
}

func mustState(t *testing.T, dir string) string {
	t.Helper()
	s, err := treeState(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
