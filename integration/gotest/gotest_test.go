//go:build linux

// Package gotest runs Go tests in machines, and shares directories with them, as users do.
package gotest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// result is what a command left behind.
type result struct {
	status         int
	stdout, stderr string
}

// limit is what no healthy run comes near; only the slowest of all suites is half of it.
const limit = 20 * time.Minute

// command runs argv in dir, with more variables.
func command(t testing.TB, dir string, env []string, argv ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(append(os.Environ(), "PWD="+dir, "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOPROXY=off"), env...)
	err := cmd.Run()
	if ctx.Err() != nil || err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatalf("cd %s; %q: %v\n%s%s", dir, argv, err, out.String(), errs.String())
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// want fails the test unless the command ended with a status and both streams together have the texts.
func (r result) want(t testing.TB, status int, texts ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d", r.status, status)
	}
	for _, text := range texts {
		if !strings.Contains(r.stdout+r.stderr, text) {
			t.Errorf("no %q", text)
		}
	}
	if t.Failed() {
		t.Fatalf("output:\n%s\nerror:\n%s", r.stdout, r.stderr)
	}
}

// module copies the module of testdata into a directory that everybody may read, in a name that nobody would choose.
func module(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(openDir(t), "mod ule, and:so")
	if err := os.CopyFS(dir, os.DirFS("testdata/module")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// openDir is a directory that everybody can enter.
func openDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// way is a kernel and how directories get to it.
type way struct {
	name   string
	kernel func(t testing.TB) string // the path of its image, in a directory that everybody can read
}

func ways() []way {
	open := func(t testing.TB, k kernels.Kernel, drop string) string {
		t.Helper()
		dir := openDir(t)
		boot := filepath.Join(dir, "boot", filepath.Base(k.Path))
		vmtest.Copy(t, k.Path, dir, "boot/"+filepath.Base(k.Path))
		config, err := os.ReadFile(k.Config)
		if err != nil {
			t.Fatal(err)
		}
		if drop != "" {
			config = bytes.ReplaceAll(config, []byte(drop+"=m"), []byte("# "+drop+" is not set"))
		}
		vmtest.WriteFile(t, dir, "boot/config-"+k.Release, 0o644, string(config))
		vmtest.AddModules(t, dir, k, "virtio_pci", "virtio_console", "virtiofs")
		return boot
	}
	return []way{
		{"9p", func(t testing.TB) string { return open(t, vmtest.RunKernel(t), "") }},
		{"virtiofs", func(t testing.TB) string { return open(t, vmtest.CloudKernel(t), "") }},
		{"copy", func(t testing.TB) string { return open(t, vmtest.CloudKernel(t), "CONFIG_VIRTIO_FS") }},
	}
}

// goTest runs "go test -exec 'rambox run --'" with a kernel in the module's directory.
func goTest(t testing.TB, dir, kernel string, env []string, args ...string) result {
	t.Helper()
	run := "'" + vmtest.Rambox(t) + "' run --kernel '" + kernel + "' --"
	return command(t, dir, env, append([]string{"go", "test", "-count=1", "-exec", run}, args...)...)
}

// fromTheHost is a variable that no command line could carry.
const fromTheHost = "FROM_THE_HOST=a b\n\"c\""

// TestGoTest has two packages in two machines at a time: one passes, covers, and leaves files; the other fails.
func TestGoTest(t *testing.T) {
	t.Parallel()
	for _, w := range ways()[:2] {
		t.Run(w.name, func(t *testing.T) {
			dir, kernel := module(t), w.kernel(t)
			got := goTest(t, dir, kernel, []string{fromTheHost}, "-p", "2", "-coverprofile=c.out", "./a", "./b")
			got.want(t, 1, "ok  \texample.com/module/a", "coverage: 50.0% of statements", "--- FAIL: TestFails", "b_test.go:9: as it should",
				"--- FAIL: FuzzSum", "b_test.go:29: the seed", "FAIL\texample.com/module/b")
			cover, err := os.ReadFile(filepath.Join(dir, "c.out"))
			if err != nil || !bytes.Contains(cover, []byte("example.com/module/a/a.go:5.23,5.39 1 1\n")) {
				t.Errorf("c.out: %q, %v", cover, err)
			}
			left(t, dir, os.Getuid())
		})
	}
}

// left checks what TestWrite of package a has left.
func left(t testing.TB, dir string, uid int) {
	t.Helper()
	name := filepath.Join(dir, "left/by/a")
	text, err := os.ReadFile(name)
	if err != nil || string(text) != strings.Repeat("out\n", 100_000) {
		t.Errorf("%s: %d bytes, %v", name, len(text), err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); info.Mode() != 0o640 || int(st.Uid) != uid {
		t.Errorf("%s: mode %v, owner %d, want 0640, %d", name, info.Mode(), st.Uid, uid)
	}
	if target, err := os.Readlink(filepath.Join(dir, "left/link")); target != "../go.mod" {
		t.Errorf("link %q, %v", target, err)
	}
}

// TestGoTestEnds has what go test says of the ends that are no result.
func TestGoTestEnds(t *testing.T) {
	t.Parallel()
	dir, kernel := module(t), ways()[0].kernel(t)
	t.Run("panic", func(t *testing.T) {
		goTest(t, dir, kernel, []string{"PANIC=1"}, "-run=TestPanics", "./b").want(t, 1,
			"panic: assignment to entry in nil map", "goroutine ", "/b/b_test.go:14 +0x", "created by testing.(*T).Run", "FAIL\texample.com/module/b")
	})
	t.Run("timeout", func(t *testing.T) {
		goTest(t, dir, kernel, []string{"HANG=1"}, "-run=TestHangs", "-timeout=3s", "./b").want(t, 1,
			"panic: test timed out after 3s", "running tests:\n\t\tTestHangs", "/b/b_test.go:20 +0x", "FAIL\texample.com/module/b")
	})
	t.Run("json, benchmark and profile", func(t *testing.T) {
		goTest(t, dir, kernel, nil, "-json", "-run=^$", "-bench=.", "-benchtime=1x", "-cpuprofile=cpu.out", "./b").want(t, 0,
			`"Action":"pass","Package":"example.com/module/b"`, `"Output":"BenchmarkSum`)
		if info, err := os.Stat(filepath.Join(dir, "cpu.out")); err != nil || info.Size() == 0 {
			t.Errorf("cpu.out: %v, %v", info, err)
		}
	})
	t.Run("race", func(t *testing.T) {
		goTest(t, dir, kernel, []string{"CGO_ENABLED=1", fromTheHost}, "-race", "-run=Twice", "./a").want(t, 0, "ok  \texample.com/module/a")
	})
	t.Run("fuzz", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(dir, "b/testdata")); err != nil {
			t.Fatal(err)
		}
		goTest(t, dir, kernel, []string{"GOCACHE=" + goCache(t)}, "-run=^$", "-fuzz=FuzzSum", "-fuzztime=50x", "./b").want(t, 0, "ok  \texample.com/module/b")
	})
}

func goCache(t testing.TB) string {
	t.Helper()
	return strings.TrimSpace(vmtest.Command(t, "go", "env", "GOCACHE"))
}

// TestGoTestOnACopy runs what needs no file to come back, and refuses the rest.
func TestGoTestOnACopy(t *testing.T) {
	t.Parallel()
	dir, kernel := module(t), ways()[2].kernel(t)
	goTest(t, dir, kernel, []string{fromTheHost}, "-v", "-run=Twice|Testdata", "./a").want(t, 0,
		" is copied into the guest, which cannot change it (9p: the kernel is built without CONFIG_NET_9P; virtiofs: the kernel is built without CONFIG_VIRTIO_FS); ",
		"ok  \texample.com/module/a")
	goTest(t, dir, kernel, nil, "-run=Write", "./a").want(t, 1, "testdata/out: read-only file system")
	goTest(t, dir, kernel, nil, "-cover", "./a").want(t, 1, "no file would come back: kernel ")
}

// TestAsNobody runs a test binary as a user without any right, who belongs to more than one group.
func TestAsNobody(t *testing.T) {
	t.Parallel()
	for _, w := range ways()[:2] {
		t.Run(w.name, func(t *testing.T) {
			dir, kernel := module(t), w.kernel(t)
			vmtest.Command(t, "go", "-C", filepath.Join(dir, "a"), "test", "-c", "-cover", "-o", "a.test", ".")
			home, bin := openDir(t), openDir(t)
			vmtest.Command(t, "chown", "-R", "65534:65534", dir, home)
			vmtest.Copy(t, vmtest.Rambox(t), bin, "rambox")
			vmtest.Copy(t, vmtest.Init(t), bin, "init")
			command(t, filepath.Join(dir, "a"), []string{fromTheHost, "HOME=" + home},
				"setpriv", "--reuid=65534", "--regid=65534", "--groups=65534,100", "--inh-caps=-all",
				filepath.Join(bin, "rambox"), "run", "--kernel", kernel, "--", "./a.test", "-test.v", "-test.coverprofile=c.out").want(t, 0,
				"--- PASS: TestSurroundings", "--- PASS: TestWrite", "coverage: 50.0% of statements")
			left(t, dir, 65534)
			info, err := os.Stat(filepath.Join(dir, "a/c.out"))
			if err != nil || info.Sys().(*syscall.Stat_t).Uid != 65534 {
				t.Errorf("c.out: %v, %v", info, err)
			}
		})
	}
}
