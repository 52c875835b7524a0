//go:build linux

package gotest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// shares are directories with a file each, and names that have to be escaped.
func shares(t testing.TB) (readOnly, writable string) {
	t.Helper()
	dir := openDir(t)
	readOnly, writable = filepath.Join(dir, "r o,:"), filepath.Join(dir, "rw")
	vmtest.WriteFile(t, readOnly, "file", 0o644, "read-only\n")
	vmtest.WriteFile(t, writable, "file", 0o644, "writable\n")
	if err := os.Symlink(readOnly, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return readOnly, writable
}

func doubled(name string) string { return strings.NewReplacer(",", ",,", ":", "::").Replace(name) }

// TestShare: a writable share is written to; a read-only one stays as it is even when root of the guest takes the guest's own
// part of it away.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, w := range ways()[:2] {
		t.Run(w.name, func(t *testing.T) {
			ro, rw := shares(t)
			link := filepath.Join(filepath.Dir(ro), "link")
			got := command(t, t.TempDir(), []string{"INHERITED=yes"}, vmtest.Rambox(t), "run", "--kernel", w.kernel(t),
				"--share", doubled(ro), "--share", doubled(rw)+":/data/deep,rw", "--share", doubled(link), "-e", "INHERITED", "-e", "GIVEN=a b", "-e", "ABSENT", "-C", ro, "--", "sh", "-c", `
				pwd; cat file /data/deep/file "$1/file"; echo "$INHERITED $GIVEN $ABSENT"
				echo new > /data/deep/new; mkdir /data/deep/dir; rm /data/deep/file
				touch new 2>/dev/null || echo refused
				mount -o remount,rw "$(pwd)"; touch file new 2>/dev/null || echo refused again`, "sh", link)
			want := ro + "\nread-only\nwritable\nread-only\nyes a b \nrefused\nrefused again\n"
			if got.status != 0 || got.stdout != want {
				t.Errorf("status %d, output %q, want %q; error %q", got.status, got.stdout, want, got.stderr)
			}
			if text, err := os.ReadFile(filepath.Join(rw, "new")); string(text) != "new\n" {
				t.Errorf("new: %q, %v", text, err)
			}
			for dir, n := range map[string]int{ro: 1, rw: 2} {
				if list, err := os.ReadDir(dir); len(list) != n || err != nil {
					t.Errorf("%s has %v, %v", dir, list, err)
				}
			}
		})
	}
}

// TestShareByCopy: the last resort says what it is, and refuses what it cannot be.
func TestShareByCopy(t *testing.T) {
	t.Parallel()
	ro, rw := shares(t)
	kernel := ways()[2].kernel(t)
	run := func(args ...string) result {
		t.Helper()
		return command(t, t.TempDir(), nil, append([]string{vmtest.Rambox(t), "run", "--kernel", kernel}, args...)...)
	}
	got := run("--share", doubled(ro)+":/tmp/here", "--", "sh", "-c", "cat /tmp/here/file; touch /tmp/here/new 2>/dev/null || echo refused")
	got.want(t, 0, ro+" is copied into the guest, which cannot change it (9p: ")
	if got.stdout != "read-only\nrefused\n" || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("output %q, error %q", got.stdout, got.stderr)
	}
	run("--share", rw+",rw", "--", "true").want(t, 125, "--share "+rw+",rw: kernel ", "can share no directory (9p: ")
	size := func(mebibytes int64) {
		t.Helper()
		if err := os.Truncate(filepath.Join(rw, "file"), mebibytes<<20); err != nil {
			t.Fatal(err)
		}
	}
	size(53)
	run("--share", rw, "--", "wc", "-c", rw+"/file").want(t, 0, "55574528 ")
	size(200)
	run("--share", rw, "--", "true").want(t, 125, "holds 200.0 MiB: a guest with 256.0 MiB has room for 53.3 MiB; ", "--memory 832M")
}

// TestShareChoosesTheKernel: without --kernel, one that can share is taken.
func TestShareChoosesTheKernel(t *testing.T) {
	t.Parallel()
	vmtest.CloudKernel(t)
	_, rw := shares(t)
	got := command(t, t.TempDir(), nil, vmtest.Rambox(t), "run", "--share", rw+",rw", "--", "sh", "-c", "cat "+rw+"/file; echo x > "+rw+"/new")
	if _, err := os.Stat(filepath.Join(rw, "new")); got.status != 0 || got.stdout != "writable\n" || got.stderr != "" || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestServersEnd: no virtiofsd outlives its machine, also when rambox is killed.
func TestServersEnd(t *testing.T) {
	t.Parallel()
	_, rw := shares(t)
	g := startRun(t, "--kernel", ways()[1].kernel(t), "--share", rw+",rw", "--", "sh", "-c", "echo ready; cat")
	if line, err := g.stdout.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the guest says %q, %v", line, err)
	}
	servers := g.children("virtiofsd")
	if len(servers) != 1 {
		t.Fatalf("the run has the servers %v", servers)
	}
	g.kill()
	for _, s := range servers {
		s.awaitEnd()
	}
}
