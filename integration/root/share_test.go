//go:build linux

package root

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

// share9p are QEMU's arguments for a directory with a tag.
func share9p(dir, tag string) []string {
	return []string{"-virtfs", "local,path=" + dir + ",mount_tag=" + tag + ",security_model=none,multidevs=remap"}
}

const writes = `echo from-the-guest >/new && echo "== written"
`

func Test9P(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := vmtest.Archive(t, vmtest.Tree(t))
	for _, tc := range []struct {
		name, line, want string
		written          bool
	}{
		{"scheme", "root=9p:the.tag", "== from the.tag, 9p, ro", false},
		{"type", "root=the.tag rootfstype=9p rootflags=trans=virtio,version=9p2000.L rw", "== from the.tag, 9p, rw", true},
		{"option", "root=9p:the.tag rw rootflags=cache=loose", "cache=", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tree(t, "shared", writes)
			out := boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: tc.line, Extra: share9p(dir, "the.tag")}, "shared", tc.want)
			if !tc.written {
				vmtest.Lacks(t, out, "== written")
				return
			}
			vmtest.Contains(t, out, "== written")
			if got := content(t, filepath.Join(dir, "new")); got != "from-the-guest\n" {
				t.Errorf("the guest has written %q", got)
			}
		})
	}
}

// Test9PWithOverlay writes, and leaves the host's directory as it was.
func Test9PWithOverlay(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	dir := tree(t, "shared", writes)
	boots(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, vmtest.Tree(t)), Append: "root=9p:t rambox.overlay=8M", Extra: share9p(dir, "t")}, "shared",
		"== from overlay, overlay, rw", "== written")
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Errorf("the overlay has let a file through")
	}
}

func TestShareFailures(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := vmtest.Archive(t, vmtest.Tree(t))
	dir := tree(t, "shared", "")
	for _, tc := range []struct{ name, line, want string }{
		{"no such tag", "root=9p:other rootwait=1", "root share other did not appear within 1s; the last try: "},
		{"no tag", "root=9p:", "root=9p:: without a name"},
		{"no such virtiofs", "root=virtiofs:t rootwait=1", "root share t did not appear within 1s; the last try: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fails(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: tc.line, Extra: share9p(dir, "t")}, tc.want)
		})
	}
	t.Run("bad option", func(t *testing.T) { // waiting would not help
		report := fails(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: "root=9p:t rootflags=trans=nonsense", Extra: share9p(dir, "t")}, "trans=nonsense")
		vmtest.Lacks(t, report, "did not appear")
	})
	t.Run("no 9p in the kernel", func(t *testing.T) {
		k := vmtest.CloudKernel(t)
		fails(t, vmtest.VM{Kernel: k, Initrd: image(t, k, nil), Append: "root=9p:t rootwait=1", Extra: share9p(dir, "t")},
			"the kernel has no 9p, nor has the image its module")
	})
}

// virtiofs has virtiofsd(1) share dir until the test ends, and returns QEMU's
// arguments.
func virtiofs(t *testing.T, dir, tag string) []string {
	t.Helper()
	short, err := os.MkdirTemp("", "vmtest") // sun_path is short: unix(7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	socket := filepath.Join(short, "fs")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l.SetUnlinkOnClose(false)
	l.Close()
	// It takes the socket that listens already, so there is nothing to wait for.
	cmd := exec.Command("/usr/lib/qemu/virtiofsd", "--fd=3", "-o", "source="+dir, "-o", "sandbox=chroot", "-o", "cache=none")
	cmd.ExtraFiles = []*os.File{f}
	log, err := os.Create(filepath.Join(short, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (make deps installs what the tests need)", err)
	}
	t.Cleanup(func() {
		// It ends with QEMU, unless QEMU has never come.
		time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		if t.Failed() {
			t.Logf("virtiofsd:\n%s", content(t, log.Name()))
		}
	})
	return []string{"-chardev", "socket,id=fs,path=" + socket, "-device", "vhost-user-fs-pci,chardev=fs,tag=" + tag,
		"-object", "memory-backend-memfd,id=ram,size=256M,share=on", "-machine", "memory-backend=ram"}
}

func TestVirtiofs(t *testing.T) {
	t.Parallel()
	cloud, run := vmtest.CloudKernel(t), vmtest.RunKernel(t)
	initrd := image(t, cloud, []string{"virtiofs"})
	for _, tc := range []struct {
		line, want string
		nomodules  bool
	}{
		{"root=virtiofs:the.tag", "== from the.tag, virtiofs, ro", false},
		{"root=the.tag rootfstype=virtiofs rw", "== from the.tag, virtiofs, rw", true},
		{"root=virtiofs:the.tag rw", "== from the.tag, virtiofs, rw", true},
	} {
		t.Run(tc.line, func(t *testing.T) {
			dir := tree(t, "shared", writes)
			vm := vmtest.VM{Kernel: cloud, Initrd: initrd, Append: tc.line}
			if tc.nomodules {
				vm.Kernel = run
			}
			vm.Extra = virtiofs(t, dir, "the.tag")
			out := boots(t, vm, "shared", tc.want)
			if _, err := os.Stat(filepath.Join(dir, "new")); (err == nil) != strings.Contains(out, "== written") {
				t.Errorf("on the host: %v", err)
			}
		})
	}
}
