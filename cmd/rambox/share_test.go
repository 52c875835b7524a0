package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

var sameShares = cmp.AllowUnexported(share{})

func TestSplitShare(t *testing.T) {
	for _, tc := range []struct {
		in          string
		host, guest string
		writable    bool
		bad         string // in the error
	}{
		{in: "/src", host: "/src"},
		{in: ".", host: "."},
		{in: "/src,rw", host: "/src", writable: true},
		{in: "/src,ro", host: "/src"},
		{in: "src:/data/,rw", host: "src", guest: "/data", writable: true},
		{in: "/a,,b::c:/d,,e::f,rw", host: "/a,b:c", guest: "/d,e:f", writable: true},
		{in: "/a b", host: "/a b"},
		{in: "/a::", host: "/a:"},
		{in: "", bad: "want HOST"},
		{in: ":/data", bad: "want HOST"},
		{in: "/a:b", bad: `"b": want an absolute path`},
		{in: "/a:", bad: "want an absolute path"},
		{in: "/a:/b:/c", bad: "want HOST"},
		{in: "/a,rw,ro", bad: "want HOST"},
		{in: "/a,rx", bad: `"rx": want rw or ro`},
		{in: "/a,", bad: `"": want rw or ro`},
		{in: "/a,rw:/b", bad: "want HOST"},
	} {
		host, guest, writable, err := splitShare(tc.in)
		if tc.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tc.bad) {
				t.Errorf("splitShare(%q): %v, want %s", tc.in, err, tc.bad)
			}
			continue
		}
		if host != tc.host || guest != tc.guest || writable != tc.writable || err != nil {
			t.Errorf("splitShare(%q) = %q, %q, %v, %v, want %q, %q, %v", tc.in, host, guest, writable, err, tc.host, tc.guest, tc.writable)
		}
		s := share{host: tc.host, guest: tc.guest, writable: tc.writable}
		if s.guest == "" {
			s.guest = s.host
		}
		host, guest, writable, err = splitShare(s.String())
		if host != s.host || guest != "" && guest != s.guest || writable != s.writable || err != nil {
			t.Errorf("splitShare(%q) = %q, %q, %v, %v, want %+v", s, host, guest, writable, err, s)
		}
	}
}

func rw(dir string) share { return share{host: dir, guest: dir, writable: true} }
func ro(dir string) share { return share{host: dir, guest: dir} }

func TestMergeShares(t *testing.T) {
	for _, tc := range []struct {
		name     string
		in, want []share
		bad      bool
	}{
		{"none", nil, nil, false},
		{"nested", []share{rw("/a/b"), rw("/a"), rw("/ab")}, []share{rw("/a"), rw("/ab")}, false},
		{"twice", []share{ro("/a"), ro("/a")}, []share{ro("/a")}, false},
		{"writable in read-only", []share{rw("/a/b"), ro("/a"), rw("/a/b/c")}, []share{ro("/a"), rw("/a/b")}, false},
		{"read-only in writable", []share{rw("/a"), ro("/a/b")}, []share{rw("/a"), ro("/a/b")}, false},
		{"three levels", []share{ro("/a"), rw("/a/b"), ro("/a/b/c")}, []share{ro("/a"), rw("/a/b"), ro("/a/b/c")}, false},
		{"another's place", []share{rw("/a"), {host: "/x", guest: "/a/b", writable: true}}, []share{rw("/a"), {host: "/x", guest: "/a/b", writable: true}}, false},
		{"same place", []share{ro("/a"), {host: "/x", guest: "/a"}}, nil, true},
		{"both ways", []share{ro("/a"), rw("/a")}, nil, true},
	} {
		got, err := mergeShares(tc.in)
		if diff := cmp.Diff(tc.want, got, sameShares); diff != "" || (err != nil) != tc.bad {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
}

func TestEnvironment(t *testing.T) {
	o := shareOptions{env: []string{"A=1=2", "HERE", "GONE", "EMPTY="}}
	got, err := o.environment(func(name string) (string, bool) { return "value", name == "HERE" })
	if diff := cmp.Diff([]string{"A=1=2", "HERE=value", "EMPTY="}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	o.env = []string{"=x"}
	if _, err := o.environment(nil); err == nil {
		t.Error("a variable without a name is taken")
	}
}

func TestIsGoTest(t *testing.T) {
	for _, tc := range []struct {
		argv string
		isGo bool
		want bool
	}{
		{"/tmp/go-build1/b001/pkg.test -test.paniconexit0 -test.timeout=10m0s", false, true},
		{"./pkg.test --test.v", false, true},
		{"./renamed -test.v", true, true},
		{"./renamed -test.v", false, false},
		{"./pkg.test", true, false},
		{"./pkg.test -v", true, false},
		{"./pkg.test -- -test.v", true, false},
		{"pkg.test -test.v", true, false}, // of PATH
		{"sh -test.v", true, false},
	} {
		if got := isGoTest(strings.Fields(tc.argv), func(string) bool { return tc.isGo }); got != tc.want {
			t.Errorf("isGoTest(%s) = %v, want %v", tc.argv, got, tc.want)
		}
	}
}

// goTree is what a machine with Go has.
func goTree() host {
	files := fstest.MapFS{}
	for _, name := range []string{
		"home/me/alone/go.mod", "home/me/repo/.git/HEAD", "home/me/repo/mod/go.mod", "home/me/repo/mod/inner/go.mod",
		"home/me/ws/go.work", "home/me/ws/one/go.mod", "home/me/.git/HEAD", "home/me/plain/x.go",
		"home/me/go/pkg/mod/example.com/m@v1.0.0/go.mod", "home/me/go/pkg/mod/old.org/!m@v1/x/y.go",
		"usr/local/go/src/os/os.go", "usr/local/go/src/go.mod",
	} {
		files[name] = &fstest.MapFile{Data: []byte("module example.com/m\n")}
	}
	files["usr/local/go/src/go.mod"].Data = []byte("module std\n\ngo 1.26\n")
	return host{fsys: files, home: "/home/me", gomods: "/home/me/go/pkg/mod"}
}

func TestPlanGoTest(t *testing.T) {
	const built = "/tmp/go-build1/b001"
	for _, tc := range []struct {
		name, dir, args string
		want            []share
		writes          []string
		bad             string
	}{
		{"module", "/home/me/alone/pkg", "", []share{rw("/home/me/alone"), rw(built)}, nil, ""},
		{"repository above", "/home/me/repo/mod/inner/x", "", []share{rw("/home/me/repo"), rw(built)}, nil, ""},
		{"workspace above", "/home/me/ws/one", "", []share{rw("/home/me/ws"), rw(built)}, nil, ""},
		{"the home directory's repository is none", "/home/me/plain", "", []share{rw("/home/me/plain"), rw(built)}, nil, ""},
		{"module cache", "/home/me/go/pkg/mod/example.com/m@v1.0.0/x", "", []share{ro("/home/me/go/pkg/mod/example.com/m@v1.0.0"), rw(built)}, nil, ""},
		{"module cache, without go.mod", "/home/me/go/pkg/mod/old.org/!m@v1/x", "", []share{ro("/home/me/go/pkg/mod/old.org/!m@v1"), rw(built)}, nil, ""},
		{"toolchain", "/usr/local/go/src/os", "", []share{ro("/usr/local/go"), rw(built)}, nil, ""},
		{"go test -cover", "/home/me/alone", "-test.testlogfile=/tmp/go-build1/b001/testlog.txt -test.coverprofile=/tmp/go-build1/b001/_cover_.out -test.gocoverdir=/tmp/go-build1/b001/gocoverdir",
			[]share{rw("/home/me/alone"), rw(built), rw(built + "/gocoverdir"), rw(built), rw(built)},
			[]string{"-test.coverprofile=/tmp/go-build1/b001/_cover_.out", "-test.gocoverdir=/tmp/go-build1/b001/gocoverdir"}, ""},
		{"profiles in the output directory", "/home/me/alone", "-test.cpuprofile=cpu.out -test.outputdir=/data/out",
			[]share{rw("/home/me/alone"), rw(built), rw("/data/out")}, []string{"-test.cpuprofile=cpu.out"}, ""},
		{"profile beside the package", "/home/me/alone/pkg", "--test.trace t.out", []share{rw("/home/me/alone"), rw(built), rw("/home/me/alone/pkg")}, []string{"--test.trace t.out"}, ""},
		{"what follows -- is the test's own", "/home/me/alone", "-- -test.trace=/x/y", []share{rw("/home/me/alone"), rw(built)}, nil, ""},
		{"home", "/home/me", "", nil, nil, "all of /home/me"},
		{"root", "/", "", nil, nil, "all of / "},
		{"tmp", "/tmp", "", nil, nil, "all of /tmp"},
		{"profile in /", "/home/me/alone", "-test.trace=/t.out", nil, nil, "all of / "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			argv := append([]string{built + "/pkg.test", "-test.v=true"}, strings.Fields(tc.args)...)
			got, err := planGoTest(goTree(), argv, tc.dir)
			if tc.bad != "" {
				if err == nil || !strings.Contains(err.Error(), tc.bad) {
					t.Errorf("%v, want %s", err, tc.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.shares, sameShares); diff != "" {
				t.Errorf("shares (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.writes, got.writes); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGoTestEnvironment(t *testing.T) {
	test := goTest{dir: "/src/pkg", shares: []share{rw("/src")}}
	got := test.environment([]string{"PATH=/bin:/src/tools:rel", "HOME=/home/me", "CI=1", "XDG_RUNTIME_DIR=/run/user/1", "PWD=/x", "_=/usr/bin/go", "_X=1", "TMPDIR=/t"})
	want := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/src/tools", "CI=1", "_X=1", "PWD=/src/pkg"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWithoutWrites: on a copy, what would be lost is refused.
func TestWithoutWrites(t *testing.T) {
	plan := func(args string) (*guest, error) {
		test, err := planGoTest(goTree(), append([]string{"/tmp/b/x.test"}, strings.Fields(args)...), "/home/me/alone/pkg")
		if err != nil {
			t.Fatal(err)
		}
		g := &guest{test: &test, shares: test.shares}
		for i := range g.shares {
			g.shares[i].implied = true
		}
		g.shares = append(g.shares, ro("/data"))
		return g, g.withoutWrites("because", "do that")
	}
	g, err := plan("-test.v -test.testlogfile=/tmp/b/log -test.run=X pos")
	want := []share{{host: "/home/me/alone", guest: "/home/me/alone", implied: true}, ro("/data")}
	if diff := cmp.Diff(want, g.shares, sameShares); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got := strings.Join(g.args, " "); got != "/tmp/b/x.test -test.v -test.run=X pos" {
		t.Errorf("arguments %s", got)
	}
	if _, err := plan("-test.coverprofile=/tmp/b/c.out"); err == nil || !strings.HasPrefix(err.Error(), "-test.coverprofile=/tmp/b/c.out: ") {
		t.Errorf("a profile that nobody would get: %v", err)
	}
}
