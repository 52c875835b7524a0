package image

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// names lists a tree as "path", "path/" or "path -> target".
func names(t *Tree) []string {
	var list []string
	for _, e := range t.Entries() {
		switch {
		case e.Mode.IsDir():
			list = append(list, e.Path+"/")
		case e.Target != "":
			list = append(list, e.Path+" -> "+e.Target)
		default:
			list = append(list, e.Path)
		}
	}
	return list
}

func text(t *testing.T, tree *Tree, name string) string {
	t.Helper()
	data, err := tree.readFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTreeAdd(t *testing.T) {
	file := func(name, data string) Add { return AddFile(name, 0o644, []byte(data)) }
	replace := func(a Add) Add { a.Replace = true; return a }
	for _, test := range []struct {
		name string
		add  []Add
		want []string
		err  string
	}{
		{"parents are made", []Add{file("/a/b/c", "x")}, []string{"a/", "a/b/", "a/b/c"}, ""},
		{"the same twice", []Add{file("a", "x"), file("/a", "x")}, []string{"a"}, ""},
		{"other content", []Add{file("a", "x"), file("a", "y")}, nil, "add /a and add /a both have it, and they differ"},
		{"other size", []Add{file("a", "x"), file("a", "xy")}, nil, "both have it"},
		{"other mode", []Add{file("a", "x"), AddFile("a", 0o600, []byte("x"))}, nil, "both have it"},
		{"replaced", []Add{file("a", "x"), replace(file("a", "y"))}, []string{"a"}, ""},
		{"file for a directory", []Add{file("a/b", "x"), replace(file("a", "y"))}, nil, "both have it"},
		{"directory for a file", []Add{file("a", "y"), AddDir("a", 0o755)}, nil, "both have it"},
		{"below a file", []Add{file("a", "y"), file("a/b", "x")}, nil, "/a of add /a is not a directory"},
		{"through a link", []Add{AddLink("lib", "usr/lib"), file("lib/x", "1")}, []string{"lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x"}, ""},
		{"through a link to the root", []Add{AddLink("a/up", ".."), file("a/up/x", "1")}, []string{"a/", "a/up -> ..", "x"}, ""},
		{"through an absolute link", []Add{AddLink("a", "/b"), file("a/x", "1")}, []string{"a -> /b", "b/", "b/x"}, ""},
		{"directory over a link", []Add{AddLink("lib", "usr/lib"), AddDir("lib", 0o755)}, []string{"lib -> usr/lib", "usr/", "usr/lib/"}, ""},
		{"link over a directory", []Add{file("lib/x", "1"), AddLink("lib", "usr/lib")}, nil, "both have it"},
		{"links in a circle", []Add{AddLink("a", "b"), AddLink("b", "a"), file("a/x", "1")}, nil, "too many symbolic links"},
		{"out of the root", []Add{file("../../a", "1")}, []string{"a"}, ""},
		{"the root", []Add{AddDir("/", 0o700)}, nil, ""},
		{"the trailer's name", []Add{file("TRAILER!!!", "1")}, nil, "marks the end"},
		{"a long name", []Add{file(strings.Repeat("a", maxPath), "1")}, nil, "4096 bytes or more"},
		{"an empty link", []Add{AddLink("a", "")}, nil, "without a target"},
		{"a NUL byte", []Add{file("a\x00b", "1")}, nil, "NUL byte"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := NewTree(time.Time{})
			var err error
			for _, a := range test.add {
				if err = tree.Add(a); err != nil {
					break
				}
			}
			if !matches(err, test.err) {
				t.Fatalf("Add: %v, want %q", err, test.err)
			}
			if err == nil {
				if diff := cmp.Diff(test.want, names(tree)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// matches tells whether err is nil for "", or contains want.
func matches(err error, want string) bool {
	if err == nil || want == "" {
		return err == nil && want == ""
	}
	return strings.Contains(err.Error(), want)
}

func TestReplaceTakesTheLater(t *testing.T) {
	tree := NewTree(time.Time{})
	for _, data := range []string{"first", "second"} {
		a := AddFile("etc/x", 0o644, []byte(data))
		a.Replace = true
		if err := tree.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if got := text(t, tree, "/etc/x"); got != "second" {
		t.Errorf("content %q, want the later", got)
	}
}

func TestDefaultsGiveWay(t *testing.T) {
	tree := NewTree(time.Time{})
	for _, a := range []Add{
		AddFile("etc/passwd", 0o600, []byte("mine")),
		AddDir("tmp", 0o755),
		AddLink("var/run", "/elsewhere"),
		AddLink("bin", "usr/bin"),
	} {
		if err := tree.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.addSkeleton("host"); err != nil {
		t.Fatal(err)
	}
	if got := text(t, tree, "etc/passwd"); got != "mine" {
		t.Errorf("passwd %q, want the user's", got)
	}
	for name, want := range map[string]string{
		"tmp":      "drwxr-xr-x",
		"var/tmp":  "drwxrwxrwt",
		"root":     "drwx------",
		"usr/bin":  "drwxr-xr-x",
		"dev/null": "crw-rw-rw-",
	} {
		e, ok := tree.Lookup(name)
		if got := modeString(e.Mode); !ok || got != want {
			t.Errorf("%s: mode %s, want %s", name, got, want)
		}
	}
	if e := tree.entries["var/run"]; e.Target != "/elsewhere" {
		t.Errorf("var/run leads to %s, want the user's /elsewhere", e.Target)
	}
	if e := tree.entries["bin"]; e.Target != "usr/bin" {
		t.Errorf("bin is %v, want the user's link", e)
	}
}

func TestTreeFS(t *testing.T) {
	tree := NewTree(time.Time{})
	if err := tree.addSkeleton("host"); err != nil {
		t.Fatal(err)
	}
	for _, a := range []Add{
		AddFile("a/b/file", 0o644, []byte("content")),
		AddLink("a/rel", "b/file"), AddLink("abs", "/a/b"),
	} {
		if err := tree.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	delete(tree.entries, "etc/mtab") // dangling: TestFS wants to open everything
	for _, node := range []string{"dev/console", "dev/null"} {
		delete(tree.entries, node)
	}
	fsys := tree.FS()
	if err := fstest.TestFS(fsys, "a/b/file", "a/rel", "abs", "etc/hosts", "tmp"); err != nil {
		t.Error(err)
	}
	if data, err := fs.ReadFile(fsys, "abs/file"); string(data) != "content" {
		t.Errorf("abs/file: %q, %v", data, err)
	}
	if target, err := fs.ReadLink(fsys, "abs"); target != "/a/b" {
		t.Errorf("ReadLink(abs) = %q, %v", target, err)
	}
	if _, err := fs.ReadFile(fsys, "a"); err == nil {
		t.Error("reading a directory gives no error")
	}
	if _, err := fs.Stat(fsys, "none"); err == nil {
		t.Error("Stat(none) gives no error")
	}
}
