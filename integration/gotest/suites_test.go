//go:build linux

package gotest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// suite are the tests of somebody else's package, which want root and a kernel.
type suite struct {
	name    string // of its rambox.toml in testdata/suites
	module  string // with "@version" unless it is that of our go.mod
	dir     string // the package's, in the module
	args    []string
	differs map[string]string // tests that may fail in a machine although they pass on the host, and why
}

// suites are those of docs/testing.md.
var suites = [...]suite{
	{name: "netlink", module: "github.com/vishvananda/netlink", args: []string{"-skip=TestXfrmMonitorExpire"}, differs: map[string]string{
		"TestLinkStats": "compares the counters of two interfaces a moment apart: it passes now and then",
	}},
	{name: "unix", module: "golang.org/x/sys", dir: "unix"},
	{name: "nftables", module: "github.com/google/nftables@v0.3.0", args: []string{"-run_system_tests"}},
}

// checkout copies a module to where it can be written to.
func (s suite) checkout(t testing.TB) string {
	t.Helper()
	var module struct{ Dir string }
	cmd := exec.Command("go", "mod", "download", "-json", s.module)
	cmd.Dir = vmtest.Root(t)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &module)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	dir := filepath.Join(t.TempDir(), s.name)
	vmtest.Command(t, "cp", "-r", "--no-preserve=mode", module.Dir, dir)
	vmtest.Copy(t, filepath.Join("testdata/suites", s.name+".toml"), dir, "rambox.toml")
	return filepath.Join(dir, s.dir)
}

var resultLine = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\S+)`)

// results are those of the top-level tests in the output of go test -v.
func results(output string) map[string]string {
	all := map[string]string{}
	for _, m := range resultLine.FindAllStringSubmatch(output, -1) {
		all[m[2]] = m[1]
	}
	return all
}

func count(all map[string]string) string {
	n := map[string]int{}
	for _, r := range all {
		n[r]++
	}
	return fmt.Sprintf("%d pass, %d fail, %d skip", n["PASS"], n["FAIL"], n["SKIP"])
}

// inGuest runs the suite as its users would.
func (s suite) inGuest(t testing.TB, dir string, args ...string) (result, map[string]string) {
	t.Helper()
	got := command(t, dir, []string{"GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=" + proxy(t)},
		slices.Concat([]string{"go", "test", "-count=1", "-v", "-exec", "'" + vmtest.Rambox(t) + "' run --", "."}, s.args, args)...)
	return got, results(got.stdout)
}

func proxy(t testing.TB) string {
	t.Helper()
	return strings.TrimSpace(vmtest.Command(t, "go", "env", "GOPROXY"))
}

// TestNetlink has all of the suite that takes no minutes without KVM, and that the kernel can do: no test fails.
func TestNetlink(t *testing.T) {
	t.Parallel()
	vmtest.GenericKernel(t)
	s := suites[0]
	dir := s.checkout(t)
	// With our version of x/sys nothing has to be downloaded.
	vmtest.Command(t, "go", "-C", dir, "mod", "edit", "-require=golang.org/x/sys@"+strings.TrimSpace(vmtest.Command(t, "go", "list", "-m", "-f", "{{.Version}}", "golang.org/x/sys")))
	sums, err := os.ReadFile(filepath.Join(vmtest.Root(t), "go.sum"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.args = []string{"-skip=^(" + strings.Join([]string{
		"TestXfrmMonitorExpire", // its authors skip it in CI: it hangs now and then
		"TestIpsetMaxElements",  // 65,536 calls: 3 minutes without KVM
		"TestLinkStats",         // compares the counters of two interfaces a moment apart
		"TestRouteViaAddDel",    // fails on a host as well
	}, "|") + ")$"}
	got, all := s.inGuest(t, dir)
	t.Log(count(all))
	got.want(t, 0, "ok  \tgithub.com/vishvananda/netlink")
	n := 0
	for _, r := range all {
		if r == "PASS" {
			n++
		}
	}
	if n < 200 {
		t.Errorf("%d tests pass, want 200 or more", n)
	}
}

// TestSuites compares: what passes as root of this machine does not fail in another. It takes a quarter of an hour (make suites).
func TestSuites(t *testing.T) {
	if os.Getenv("RAMBOX_SUITES") == "" {
		t.Skip("make suites runs these")
	}
	vmtest.GenericKernel(t)
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			dir := s.checkout(t)
			got, guest := s.inGuest(t, dir, "-timeout=20m")
			host := s.onHost(t, dir)
			t.Logf("host:  %s", count(host))
			t.Logf("guest: %s", count(guest))
			if len(guest) == 0 {
				t.Fatalf("status %d\n%s%s", got.status, got.stdout, got.stderr)
			}
			for _, name := range slices.Sorted(maps.Keys(host)) {
				h, g := host[name], guest[name]
				if h == g || g == "" {
					continue
				}
				t.Logf("%s: host %s, guest %s %s", name, h, g, s.differs[name])
				if h == "PASS" && g == "FAIL" && s.differs[name] == "" {
					t.Errorf("%s passes on the host and fails in the guest; to reproduce: rambox run -- ./%s.test -test.v -test.run '^%[1]s$' in %s", name, s.name, dir)
				}
			}
		})
	}
}

// onHost runs each test alone as root of a fresh network namespace, so that one that panics takes no others with it.
func (s suite) onHost(t testing.TB, dir string) map[string]string {
	t.Helper()
	program := filepath.Join(t.TempDir(), s.name+".test")
	env := []string{"GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=" + proxy(t)}
	command(t, dir, env, "go", "test", "-c", "-o", program, ".").want(t, 0)
	var flags []string
	for _, a := range s.args {
		if !strings.HasPrefix(a, "-skip=") {
			flags = append(flags, a)
		} else {
			flags = append(flags, "-test."+a[1:])
		}
	}
	all := map[string]string{}
	for name := range strings.FieldsSeq(command(t, dir, nil, program, "-test.list=^Test").stdout) {
		got := command(t, dir, nil, slices.Concat([]string{
			"unshare", "--net", "--mount", "sh", "-c", `ip link set lo up; exec "$@"`, "sh", program, "-test.v", "-test.timeout=2m", "-test.run=^" + name + "$"}, flags)...)
		r := results(got.stdout)[name]
		switch {
		case r == "" && got.status == 0:
			continue // skipped by our flags
		case r == "":
			r = "FAIL" // a panic
		}
		all[name] = r
	}
	return all
}
