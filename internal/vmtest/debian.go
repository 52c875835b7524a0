//go:build linux

package vmtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rambox/internal/kernels"
)

// debianArch is Debian's name of the architecture that the tests boot.
const debianArch = "amd64"

// DebianRoot is a Debian root of the host's release, with these packages (a
// list with commas) beside the required ones. It is made once, because that
// takes a minute, from the mirror that the host itself uses; so nobody may
// write to it.
func DebianRoot(t testing.TB, packages string) string {
	t.Helper()
	release, mirror := debianSource(t)
	return DebianTree(t, strings.Join([]string{release, debianArch, packages}, "-"), func(tmp string) {
		// What it mounts on the root goes away with its namespace, whatever
		// happens to it: nothing is mounted below what is removed.
		Command(t, "unshare", "--mount", "sh", "-ec", `
			eval "$(apt-config shell proxy Acquire::http::Proxy)"
			[ -z "$proxy" ] || export http_proxy="$proxy"
			debootstrap --variant=minbase --arch="$1" --include="$2" "$3" "$4" "$5"
			cd "$4"
			rm -rf run/* tmp/* var/cache/apt/* var/lib/apt/lists/* usr/share/doc usr/share/man usr/share/locale
			`, "sh", debianArch, packages, release, filepath.Join(tmp, "root"), mirror)
	})
}

// DebianTree is a directory with files of Debian's by the name of what is in it,
// which fill makes once, as "root" in a directory that it may use for more. Who
// wants the same one meanwhile waits.
func DebianTree(t testing.TB, name string, fill func(tmp string)) string {
	t.Helper()
	cache, err := kernels.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "debian", name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() // and so it is unlocked
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatalf("lock %s: %v", lock.Name(), err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	fill(tmp)
	if err := os.Rename(filepath.Join(tmp, "root"), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// debianSource is the release of the host and the mirror that it has its main
// packages from.
func debianSource(t testing.TB) (release, mirror string) {
	t.Helper()
	release = strings.TrimSpace(Command(t, "sh", "-c", `. /etc/os-release && echo "$VERSION_CODENAME"`))
	targets := Command(t, "apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Identifier: Packages")
	for line := range strings.Lines(targets) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == release && f[1] == "main" {
			return release, f[2]
		}
	}
	t.Fatalf("no apt source of this machine has the component main of %q", release)
	return "", ""
}
