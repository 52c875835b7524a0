package image

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseAdd(t *testing.T) {
	for _, test := range []struct {
		in, host, path, err string
	}{
		{"/etc/hosts", "/etc/hosts", "etc/hosts", ""},
		{"./app", "./app", "app", ""},
		{"tree/etc:/etc", "tree/etc", "etc", ""},
		{"tree:/", "tree", "./", ""},
		{"app:/usr/bin/", "app", "usr/bin/", ""},
		{"a:b", "a:b", "a:b", ""},
		{"a:/b:/c", "a:/b", "c", ""},
		{".", ".", ".", ""},
		{"../x", "", "", "say where it goes"},
		{"..", "", "", "say where it goes"},
		{"", "", "", "want SRC"},
		{":/x", "", "", "want SRC"},
	} {
		a, err := ParseAdd(test.in)
		if !matches(err, test.err) || a.Host != test.host || a.Entry.Path != test.path {
			t.Errorf("ParseAdd(%q) = %q → %q, %v; want %q → %q, %q", test.in, a.Host, a.Entry.Path, err, test.host, test.path, test.err)
		}
	}
}

func FuzzParseAdd(f *testing.F) {
	f.Add("a:/b")
	f.Add("..:/")
	f.Fuzz(func(t *testing.T, arg string) {
		a, err := ParseAdd(arg)
		if err == nil && (a.Host == "" || clean(a.Entry.Path)[0] == '/') {
			t.Errorf("ParseAdd(%q) = %+v", arg, a)
		}
	})
}

// hostTree makes a directory with files of all kinds that need no root.
func hostTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"bin", "etc/deep", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]fs.FileMode{"bin/tool": 0o755, "bin/su": 0o755 | fs.ModeSetuid, "etc/secret": 0o600, "etc/deep/zero": 0o644} {
		file := filepath.Join(dir, name)
		data := []byte(name)
		if name == "etc/deep/zero" {
			data = nil
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"sbin": "bin", "etc/link": "secret", "dangling": "/nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "bin/tool"), filepath.Join(dir, "bin/same")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "empty"), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAddHostTree(t *testing.T) {
	dir := hostTree(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"srv/", "srv/bin/", "srv/bin/same", "srv/bin/su", "srv/bin/tool", "srv/dangling -> /nowhere", "srv/empty/",
		"srv/etc/", "srv/etc/deep/", "srv/etc/deep/zero", "srv/etc/link -> secret", "srv/etc/secret", "srv/sbin -> bin",
	}
	for _, host := range []string{dir, dir + "/", link} {
		tree := NewTree(time.Time{})
		if err := tree.Add(Add{Host: host, Entry: Entry{Path: "srv"}}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, names(tree)); diff != "" {
			t.Errorf("%s: %s", host, diff)
		}
		for name, want := range map[string]string{"srv/bin/su": "-rwsr-xr-x", "srv/etc/secret": "-rw-------", "srv/empty": "drwxrwxrwt"} {
			if e, _ := tree.Lookup(name); modeString(e.Mode) != want {
				t.Errorf("%s: mode %s, want %s", name, modeString(e.Mode), want)
			}
		}
		if got := text(t, tree, "/srv/sbin/same"); got != "bin/tool" {
			t.Errorf("a hard link holds %q, want a copy", got)
		}
	}
}

func TestAddHostFile(t *testing.T) {
	dir := hostTree(t)
	for _, test := range []struct {
		name string
		add  Add
		want []string
	}{
		{"into a directory", Add{Host: dir + "/bin/tool", Entry: Entry{Path: "usr/bin/"}}, []string{"usr/", "usr/bin/", "usr/bin/tool"}},
		{"under another name", Add{Host: dir + "/etc/link", Entry: Entry{Path: "x"}}, []string{"x"}},
		{"a device", Add{Host: "/dev/null", Entry: Entry{Path: "null"}}, []string{"null"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := NewTree(time.Time{})
			if err := tree.Add(test.add); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, names(tree)); diff != "" {
				t.Error(diff)
			}
			if e, ok := tree.Lookup("null"); ok && (e.Major != 1 || e.Minor != 3) {
				t.Errorf("/dev/null is %d:%d, want 1:3", e.Major, e.Minor)
			}
		})
	}
}

// A file that keeps its path brings the links on the way along.
func TestAddKeepsLinks(t *testing.T) {
	dir, err := filepath.EvalSymlinks(hostTree(t))
	if err != nil {
		t.Fatal(err)
	}
	add, err := ParseAdd(dir + "/sbin/tool")
	if err != nil {
		t.Fatal(err)
	}
	tree := NewTree(time.Time{})
	if err := tree.Add(add); err != nil {
		t.Fatal(err)
	}
	base := clean(dir)
	if e := tree.entries[base+"/sbin"]; e == nil || e.Target != "bin" {
		t.Errorf("sbin is %v, want a link to bin", e)
	}
	if e := tree.entries[base+"/bin/tool"]; e == nil || e.Size != int64(len("bin/tool")) {
		t.Errorf("bin/tool is %v, want the file", e)
	}
}

func TestAddMissing(t *testing.T) {
	err := NewTree(time.Time{}).Add(Add{Host: "/no/such/file", Entry: Entry{Path: "x"}})
	if !matches(err, "add /no/such/file: ") {
		t.Errorf("Add: %v, want the source named", err)
	}
}

func TestOwnerIsKeptOnlyOnRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	uid, gid := 0, 0
	if os.Getuid() == 0 {
		uid, gid = 1234, 5678
		if err := os.Chown(file, uid, gid); err != nil {
			t.Fatal(err)
		}
	} else {
		uid, gid = os.Getuid(), os.Getgid()
	}
	for _, owner := range []bool{false, true} {
		tree := NewTree(time.Time{})
		if err := tree.Add(Add{Host: file, Entry: Entry{Path: "x"}, Owner: owner}); err != nil {
			t.Fatal(err)
		}
		want := Entry{}
		if owner {
			want = Entry{UID: uint32(uid), GID: uint32(gid)}
		}
		if e, _ := tree.Lookup("x"); e.UID != want.UID || e.GID != want.GID {
			t.Errorf("Owner %t: %d:%d, want %d:%d", owner, e.UID, e.GID, want.UID, want.GID)
		}
	}
}

func TestFileThatChanges(t *testing.T) {
	for _, now := range []string{"", "longer than before"} {
		file := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		tree := NewTree(time.Time{})
		if err := tree.Add(Add{Host: file, Entry: Entry{Path: "x"}}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Write(new(countingWriter), None); !matches(err, "its size changed") {
			t.Errorf("Write after %q: %v, want an error that says so", now, err)
		}
	}
}
