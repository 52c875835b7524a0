package main

import (
	"cmp"
	"debug/buildinfo"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rambox/internal/image"
)

// goTest is a Go test binary with what it will find in the guest at the same
// paths as here.
type goTest struct {
	program  string   // absolute
	args     []string // its arguments
	dir      string   // where it starts: the package's directory
	shares   []share
	fuzz     string   // the directory of what fuzzing has found
	writes   []string // arguments that make it write files which somebody waits for
	unshared []string // args for a guest to which no file comes back
}

// isGoTest tells whether a command line is that of a test binary, as "go test
// -exec" makes it. isGo reports whether a file was built by Go.
func isGoTest(args []string, isGo func(string) bool) bool {
	if len(args) == 0 || !strings.Contains(args[0], "/") {
		return false
	}
	for _, a := range args[1:] {
		if _, ok := testFlag(a); ok {
			return strings.HasSuffix(args[0], ".test") || isGo(args[0])
		}
		if a == "--" {
			break
		}
	}
	return false
}

func builtByGo(name string) bool {
	_, err := buildinfo.ReadFile(name)
	return err == nil
}

// testFlag takes the name of a flag of package testing out of an argument, and
// leaves its value there: "-test.run=X" is "run=X".
func testFlag(arg string) (string, bool) {
	arg, ok := strings.CutPrefix(arg, "-")
	if !ok {
		return "", false
	}
	return strings.CutPrefix(strings.TrimPrefix(arg, "-"), "test.")
}

// pathFlags are those flags of package testing that name a file to write (false) or
// a directory (true). What is relative is so to -test.outputdir.
var pathFlags = map[string]bool{
	"coverprofile": false, "cpuprofile": false, "memprofile": false, "blockprofile": false, "mutexprofile": false, "trace": false,
	"testlogfile": false, "outputdir": true, "gocoverdir": true, "fuzzcachedir": true,
}

// host is what the planning of a Go test asks this machine.
type host struct {
	fsys   fs.FS // rooted at /
	home   string
	gomods string // the module cache
}

func thisHost() host {
	h := host{fsys: os.DirFS("/"), gomods: os.Getenv("GOMODCACHE")}
	h.home, _ = os.UserHomeDir() // without one there is nothing to spare
	if list := filepath.SplitList(build.Default.GOPATH); h.gomods == "" && len(list) > 0 {
		h.gomods = filepath.Join(list[0], "pkg", "mod")
	}
	return h
}

func (h host) has(name string) bool {
	_, err := fs.Stat(h.fsys, strings.TrimPrefix(name, "/"))
	return err == nil
}

// planGoTest works out what a test needs: its module writable, where it was
// built and what it is to write also, and sources that are not the user's read-only.
func planGoTest(h host, args []string, dir string) (goTest, error) {
	t := goTest{program: absolute(dir, args[0]), args: args[1:], dir: dir}
	t.shares = append(t.shares, h.sources(dir))
	if built := filepath.Dir(t.program); !h.tooWide(built) {
		t.shares = append(t.shares, sharedAt(built))
	}
	output := dir
	var files []string
	for i := 0; i < len(t.args) && t.args[i] != "--"; i++ {
		name, ok := testFlag(t.args[i])
		if !ok {
			t.unshared = append(t.unshared, t.args[i])
			continue
		}
		name, value, valued := strings.Cut(name, "=")
		isDir, known := pathFlags[name]
		words := t.args[i : i+1]
		if known && !valued && i+1 < len(t.args) {
			value, words = t.args[i+1], t.args[i:i+2]
			i++
		}
		if name == "artifacts" {
			files = append(files, "_artifacts")
			t.writes = append(t.writes, words[0])
			continue
		}
		if !known || value == "" {
			t.unshared = append(t.unshared, words...)
			continue
		}
		switch {
		case name == "outputdir":
			output = absolute(dir, value)
			t.unshared = append(t.unshared, words...)
		case name == "testlogfile": // go test wants it for its cache of results, and does without
			files = append(files, value)
		case isDir:
			if name == "fuzzcachedir" {
				t.fuzz = absolute(dir, value)
			}
			t.shares = append(t.shares, sharedAt(absolute(dir, value)))
			t.writes = append(t.writes, strings.Join(words, " "))
		default:
			files = append(files, value)
			t.writes = append(t.writes, strings.Join(words, " "))
		}
	}
	for _, f := range files {
		t.shares = append(t.shares, sharedAt(filepath.Dir(absolute(output, f))))
	}
	return t, t.check(h)
}

func absolute(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

func sharedAt(dir string) share { return share{host: dir, guest: dir, writable: true} }

// tooWide tells whether a directory holds much more than one program: nobody
// means to share it by starting a test there.
func (h host) tooWide(dir string) bool {
	return dir == "/" || dir == h.home || slices.Contains([]string{"/tmp", "/var/tmp", "/usr", "/usr/bin", "/bin", "/home", "/root"}, dir)
}

// sources is the share with the package: the module's root, or above it that of a
// workspace or repository. Those of the toolchain and the module cache are read-only.
func (h host) sources(dir string) share {
	if under(dir, h.gomods) {
		for d := dir; d != h.gomods; d = filepath.Dir(d) {
			if strings.Contains(filepath.Base(d), "@") {
				return share{host: d, guest: d}
			}
		}
		return share{host: dir, guest: dir}
	}
	root := ""
	for d := dir; !h.tooWide(d); d = filepath.Dir(d) {
		if root == "" && h.has(filepath.Join(d, "go.mod")) {
			if h.isToolchain(d) {
				return share{host: filepath.Dir(d), guest: filepath.Dir(d)}
			}
			root = d
		}
		if root != "" && (h.has(filepath.Join(d, "go.work")) || h.has(filepath.Join(d, ".git"))) {
			return sharedAt(d)
		}
	}
	return sharedAt(cmp.Or(root, dir))
}

// isToolchain tells whether the module in dir is Go's own: its tests read sources
// anywhere in GOROOT.
func (h host) isToolchain(dir string) bool {
	text, err := fs.ReadFile(h.fsys, strings.TrimPrefix(dir, "/")+"/go.mod")
	line, _, _ := strings.Cut(string(text), "\n")
	return err == nil && strings.TrimSpace(line) == "module std" && filepath.Base(dir) == "src"
}

func under(name, dir string) bool {
	return dir != "" && (name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/"))
}

// check refuses to share what nobody can mean.
func (t *goTest) check(h host) error {
	for i, s := range t.shares {
		if s.guest == "/" || s.guest == h.home || i == 0 && h.tooWide(s.guest) {
			return fmt.Errorf("for this Go test all of %s would be shared: run it in the directory of its package, and name other places for what it writes", s.guest)
		}
	}
	return nil
}

// notPassed are variables of this machine that make no sense in another. A name that ends in _ stands
// for all that begin so.
var notPassed = [...]string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "MAIL", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "LD_PRELOAD",
	"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_", "SSH_", "DBUS_", "GPG_", "LISTEN_", "NOTIFY_SOCKET", "JOURNAL_STREAM", "INVOCATION_ID",
	"RAMBOX_",
}

// environment is what a test gets of this machine's. The guest's own PATH
// comes first; what it has of ours are directories that are shared.
func (t *goTest) environment(environ []string) []string {
	var list []string
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if name == "PATH" {
			list = append(list, t.path(value)...)
		}
		left := slices.ContainsFunc(notPassed[:], func(n string) bool {
			return name == n || len(n) > 1 && strings.HasSuffix(n, "_") && strings.HasPrefix(name, n)
		})
		if name != "" && !left {
			list = append(list, e)
		}
	}
	return append(list, "PWD="+t.dir)
}

func (t *goTest) path(ours string) []string {
	words := []string{image.Path()}
	for _, dir := range filepath.SplitList(ours) {
		if filepath.IsAbs(dir) && slices.ContainsFunc(t.shares, func(s share) bool { return under(dir, s.guest) }) {
			words = append(words, dir)
		}
	}
	if len(words) == 1 {
		return nil
	}
	return []string{"PATH=" + strings.Join(words, ":")}
}
