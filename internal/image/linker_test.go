package image

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// extract writes a tree into a directory, as the kernel would. Device nodes
// need root.
func extract(t *testing.T, tree *Tree, dir string) {
	t.Helper()
	for _, e := range tree.Entries() {
		at := filepath.Join(dir, e.Path)
		var err error
		switch {
		case e.Mode.IsDir():
			err = os.Mkdir(at, 0o755)
		case e.Mode.Type() == fs.ModeSymlink:
			err = os.Symlink(e.Target, at)
		case e.Mode&fs.ModeCharDevice != 0:
			command(t, "", nil, "mknod", "-m", "666", at, "c", fmt.Sprint(e.Major), fmt.Sprint(e.Minor))
		case e.Mode.IsRegular():
			var data []byte
			var r io.ReadCloser
			if r, err = e.open(); err != nil {
				break
			}
			if data, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(at, data, e.Mode.Perm())
			}
			r.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// ldd lists the paths that the host's loader finds for a program.
func ldd(t *testing.T, program string) []string {
	t.Helper()
	out := command(t, "", nil, "ldd", program)
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^\t(?:.* => )?(/\S+) \(0x`).FindAllStringSubmatch(out, -1) {
		list = append(list, m[1])
	}
	return list
}

// All that ldd prints must be in the image, at the same path, and the program
// must run with nothing else.
func TestLibrariesAgainstLdd(t *testing.T) {
	for _, test := range []struct {
		program string
		args    []string
		want    string
	}{
		{"/bin/bash", []string{"-c", "echo $((6*7))"}, "42"},
		{"/usr/bin/perl", []string{"-e", "print 6*7"}, "42"},
		{"/usr/bin/python3", []string{"-S", "-E", "--version"}, "Python 3"},
		{"/usr/bin/git", []string{"--version"}, "git version"},
		{"/usr/bin/qemu-system-x86_64", []string{"--version"}, "QEMU emulator version"},
		{"/usr/bin/gcc", []string{"--version"}, "gcc"},
		{"/usr/bin/xz", []string{"--version"}, "xz"},
		{"/bin/ls", []string{"-d", "/"}, "/"},
	} {
		t.Run(test.program, func(t *testing.T) {
			if _, err := os.Stat(test.program); err != nil {
				t.Skip(err)
			}
			tree, report, err := Assemble(Spec{Payload: append([]string{test.program}, test.args...)})
			if err != nil {
				t.Fatal(err)
			}
			libraries := ldd(t, test.program)
			if len(libraries) < 2 {
				t.Fatalf("ldd lists %q", libraries)
			}
			for _, library := range libraries {
				if e, ok := tree.Lookup(library); !ok || !e.Mode.IsRegular() {
					t.Errorf("%s is not in the image", library)
				}
			}
			if len(report.Libraries) < len(libraries) {
				t.Errorf("the report has %d libraries, ldd %d", len(report.Libraries), len(libraries))
			}
			runIn(t, tree, report.Payload, test.want)
		})
	}
}

// runIn runs a program of the tree with the tree as its root, if this is root.
// The loader reads /proc/self/exe for $ORIGIN.
func runIn(t *testing.T, tree *Tree, argv []string, want string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Log("not root: the program is not run")
		return
	}
	dir := t.TempDir()
	extract(t, tree, dir)
	cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--root=" + dir, "--mount-proc"}, argv...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%s: %v, printed %q, want %q", cmd, err, out, want)
	}
}

// cc compiles a C program or, with -shared among args, a library.
func cc(t *testing.T, dir, source, out string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "source.c")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	out = filepath.Join(dir, out)
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "", nil, "gcc", append([]string{"-o", out, file}, args...)...)
	return out
}

// A program that finds its libraries by its own place is moved, and they with
// it; RPATH counts for what is below, RUNPATH does not.
func TestRunpathAndOrigin(t *testing.T) {
	for _, test := range []struct {
		name, tags string
		inner      string // where the library's own library looks
	}{
		{"runpath", "-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN/inner"},
		{"rpath", "-Wl,--disable-new-dtags", "-Wl,--disable-new-dtags"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			lib := "-L" + dir + "/lib"
			innerDir := "lib/inner"
			if test.name == "rpath" {
				innerDir = "lib" // found by the program's RPATH alone
			}
			cc(t, dir, "int inner(void) { return 42; }", innerDir+"/libinner.so.1", "-shared", "-fPIC", "-Wl,-soname,libinner.so.1")
			link(t, "libinner.so.1", filepath.Join(dir, innerDir, "libinner.so"))
			cc(t, dir, "int inner(void); int outer(void) { return inner(); }", "lib/libouter.so.1.0", "-shared", "-fPIC",
				"-Wl,-soname,libouter.so.1", "-L"+filepath.Join(dir, innerDir), "-linner", test.inner)
			link(t, "libouter.so.1.0", filepath.Join(dir, "lib/libouter.so.1"))
			link(t, "libouter.so.1", filepath.Join(dir, "lib/libouter.so"))
			program := cc(t, dir, `#include <stdio.h>
int outer(void); int main(void) { printf("%d\n", outer()); }`, "bin/program", lib, "-louter", test.tags,
				"-Wl,-rpath,$ORIGIN/../lib", "-Wl,-rpath-link,"+filepath.Join(dir, innerDir))

			tree, report, err := Assemble(Spec{Payload: []string{program}})
			if err != nil {
				t.Fatal(err)
			}
			if want := "/usr/local/bin/program"; report.Payload[0] != want {
				t.Errorf("the payload is %s, want %s: /tmp is hidden by a mount", report.Payload[0], want)
			}
			for _, name := range []string{"usr/local/lib/libouter.so.1", "usr/local/" + innerDir + "/libinner.so.1"} {
				if _, ok := tree.Lookup(name); !ok {
					t.Errorf("no %s in %q", name, names(tree))
				}
			}
			runIn(t, tree, report.Payload, "42")
		})
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestMissingLibraries(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		cc(t, dir, "int "+name+"(void) { return 1; }", "lib"+name+".so", "-shared", "-fPIC", "-Wl,-soname,lib"+name+".so")
	}
	cc(t, dir, "int one(void), two(void); int main(void) { return one() + two(); }", "program", "-L"+dir, "-lone", "-ltwo")
	for _, name := range []string{"one", "two"} {
		if err := os.Remove(filepath.Join(dir, "lib"+name+".so")); err != nil {
			t.Fatal(err)
		}
	}

	_, _, err := Assemble(Spec{Payload: []string{dir + "/program"}})
	for _, want := range []string{"libone.so for " + runtime.GOARCH + ": not found in /", "libtwo.so"} {
		if !matches(err, want) {
			t.Errorf("named program: %v, want %q", err, want)
		}
	}
	_, report, err := Assemble(Spec{Add: []Add{{Host: dir, Entry: Entry{Path: "srv"}}}})
	if err != nil || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "libone.so") {
		t.Errorf("below a named directory: %v, notes %q; want a note", err, report.Notes)
	}
}

func TestLoaderConf(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ld.so.conf":  "# first\n/opt/a /opt/b\ninclude more/*.conf\nhwcap 1 x\n/opt/c # last\n",
		"more/2.conf": "/opt/two\n", "more/1.conf": "/opt/one:/opt/uno\n", "more/x.off": "/opt/off\n",
		"circle": "include circle\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readLoaderConf(dir+"/ld.so.conf", 0)
	want := []string{"/opt/a", "/opt/b", "/opt/one", "/opt/uno", "/opt/two", "/opt/c"}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("readLoaderConf = %q, %v; want %q", got, err, want)
	}
	if got, err := readLoaderConf(dir+"/none", 0); got != nil || err != nil {
		t.Errorf("a missing file: %q, %v", got, err)
	}
	if _, err := readLoaderConf(dir+"/circle", 0); !matches(err, "levels deep") {
		t.Errorf("a file that includes itself: %v", err)
	}
}

// A library that only /etc/ld.so.conf leads to gets a link where the loader
// looks by itself.
func TestReach(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cc(t, dir, "int f(void) { return 42; }", "libfar.so.1", "-shared", "-fPIC", "-Wl,-soname,libfar.so.1")
	link(t, "libfar.so.1", filepath.Join(dir, "libfar.so"))
	program := cc(t, dir, `#include <stdio.h>
int f(void); int main(void) { printf("%d\n", f()); }`, "program", "-L"+dir, "-lfar")
	tree := NewTree(time.Time{})
	if err := tree.Add(Add{Host: program, Entry: Entry{Path: "bin/program"}}); err != nil {
		t.Fatal(err)
	}
	l, err := newLinker(tree)
	if err != nil {
		t.Fatal(err)
	}
	l.conf = append(l.conf, dir)
	a, err := archNamed(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := tree.Lookup("bin/program")
	if err := l.needsOf(e, a, nil); err != nil {
		t.Fatal(err)
	}
	if err := tree.addSkeleton("host"); err != nil {
		t.Fatal(err)
	}
	runIn(t, tree, []string{"/bin/program"}, "42")
}

// FuzzReadELF reads any bytes as a program. testdata/dynamic.elf is
//
//	extern int puts(const char *);
//	void _start(void) { puts("x"); }
//
// by gcc -Os -s -nostartfiles -Wl,-z,noseparate-code -Wl,-rpath,'$ORIGIN/lib'.
func FuzzReadELF(f *testing.F) {
	small, err := os.ReadFile("testdata/dynamic.elf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := readELF(strings.NewReader(string(data)))
		if (file == nil) != (err != nil) {
			t.Errorf("readELF = %v, %v", file, err)
		}
	})
}

// musl's loader is its libc, and lets RUNPATH count for what is below.
func TestMusl(t *testing.T) {
	a, err := archNamed(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	musl := "libc.musl-" + a.musl + ".so.1"
	bare := []string{"-nostdlib", "-nostartfiles", "-L" + dir}
	library := append(bare, "-shared", "-fPIC")
	cc(t, dir, "int c(void) { return 1; }", "libc-of-musl.so", append(library, "-Wl,-soname,"+musl)...)
	cc(t, dir, "int deep(void) { return 1; }", "libdeep.so", append(library, "-Wl,-soname,libdeep.so")...)
	cc(t, dir, "int deep(void); int near(void) { return deep(); }", "libnear.so", append(library, "-Wl,-soname,libnear.so", "-ldeep")...)
	loader := a.muslLoader()
	program := cc(t, dir, "int c(void), near(void); void _start(void) { c(); near(); }", "program",
		append(bare, filepath.Join(dir, "libc-of-musl.so"), "-lnear", "-Wl,--dynamic-linker="+loader,
			"-Wl,-rpath,/opt/lib", "-Wl,-rpath-link,"+dir, "-Wl,--enable-new-dtags")...)
	put := func(from, to string) Add { return Add{Host: filepath.Join(dir, from), Entry: Entry{Path: to}} }
	adds := []Add{
		{Host: program, Entry: Entry{Path: "bin/program"}},
		put("libc-of-musl.so", loader), put("libnear.so", "/opt/lib/libnear.so"), put("libdeep.so", "/opt/lib/libdeep.so"),
	}
	if _, _, err := Assemble(Spec{Add: adds}); err != nil {
		t.Error(err)
	}
	if _, _, err := Assemble(Spec{Add: adds[:3]}); !matches(err, "libdeep.so") {
		t.Errorf("without libdeep.so: %v", err)
	}
}
