//go:build linux

package root

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// httpRoot is the path of bin/http-root, which make has built.
func httpRoot(t *testing.T) string {
	t.Helper()
	return filepath.Join(vmtest.Root(t), "bin", "http-root")
}

// netImage makes an initramfs that has a network, and http-root.
func netImage(t *testing.T, k kernels.Kernel, more ...func(dir string)) string {
	t.Helper()
	more = append(more, file(t, httpRoot(t), "lib/rambox/root/http"))
	return image(t, k, []string{"virtio_net", "loop", "squashfs", "overlay"}, more...)
}

// userNet is a network with a DHCP server, on which the host is 10.0.2.2.
var userNet = [...]string{"-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="}

// server serves one image to guests, and how well is for serve to say.
type server struct {
	url    string
	digest string // "sha256:…"
	size   int
}

func serve(t *testing.T, content string, handler http.HandlerFunc) server {
	t.Helper()
	return serveOn(t, listen(t), content, handler)
}

// port is one of this machine where nobody listens yet, and nobody else can.
type port struct {
	fd      int
	address *net.TCPAddr
}

func reserve(t *testing.T) port {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return port{fd, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*unix.SockaddrInet4).Port}}
}

// listen begins to take connections, until the test ends.
func (p port) listen(t *testing.T) net.Listener {
	t.Helper()
	if err := unix.Listen(p.fd, 16); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// listen takes a free port of this machine, until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func serveOn(t *testing.T, l net.Listener, content string, handler http.HandlerFunc) server {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
		}
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return server{
		url:    url(l.Addr()),
		digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content))), size: len(content),
	}
}

// url is what a guest calls a server of this machine.
func url(address net.Addr) string {
	return fmt.Sprintf("http://10.0.2.2:%d/root", address.(*net.TCPAddr).Port)
}

// archive makes a tar archive of dir, compressed by zstd(1).
func archive(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.tar.zst")
	vmtest.Command(t, "tar", "--zstd", "--owner=0", "--group=0", "-C", dir, "-cf", file, ".")
	return file
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		initrd := netImage(t, k)
		dir := tree(t, "fetched", writes)
		squash, tar := content(t, squashfs(t, dir)), content(t, archive(t, dir))
		for _, tc := range []struct {
			name, image, line, want string
			cloud                   bool // with modules, too
		}{
			{"squashfs", squash, "", "== from /dev/loop0, squashfs, ro", false}, // TestHTTPBuilt has modules
			{"squashfs with an overlay", squash, "rambox.overlay", "== from overlay, overlay, rw", true},
			{"tar.zst", tar, "rw", "tmpfs, rw", false},
		} {
			if k.Modules != "" && !tc.cloud {
				continue
			}
			t.Run(tc.name, func(t *testing.T) {
				s := serve(t, tc.image, nil)
				boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Extra: userNet[:], Append: "root=" + s.url + " rambox.digest=" + s.digest + " " + tc.line}, "fetched", tc.want)
			})
		}
	})
}

// TestHTTPCut has a server that ends the connection in the middle, twice.
func TestHTTPCut(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	img := content(t, squashfs(t, tree(t, "resumed", "")))
	var ranges, cuts atomic.Int32
	s := serve(t, img, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		from := 0
		if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
			ranges.Add(1)
			from, _ = strconv.Atoi(strings.TrimSuffix(text, "-"))
		}
		if cuts.Add(1) > 2 {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(img))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(img)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(img)-1, len(img)))
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write([]byte(img[from : (from+len(img))/2])) // and the rest is missing
	})
	boots(t, vmtest.VM{Kernel: k, Initrd: netImage(t, k), Extra: userNet[:], Append: "root=" + s.url + " rambox.digest=" + s.digest}, "resumed")
	if n := ranges.Load(); n != 2 {
		t.Errorf("the guest has asked for a range %d times, want 2", n)
	}
}

// TestHTTPSlow has a server that takes several seconds for the image.
func TestHTTPSlow(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	img := content(t, squashfs(t, tree(t, "slow", "")))
	s := serve(t, img, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(img)))
		const pieces = 24
		for i := range pieces {
			w.Write([]byte(img[len(img)*i/pieces : len(img)*(i+1)/pieces]))
			w.(http.Flusher).Flush()
			time.Sleep(250 * time.Millisecond)
		}
	})
	boots(t, vmtest.VM{Kernel: k, Initrd: netImage(t, k), Extra: userNet[:], Append: "root=" + s.url + " rambox.digest=" + s.digest}, "slow", " %), ")
}

// TestHTTPLate has a server that begins when two tries have been in vain.
func TestHTTPLate(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	p := reserve(t)
	g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: netImage(t, k), Extra: userNet[:], Append: "rambox.insecure root=" + url(p.address)})
	g.Expect("connection refused; trying again in")
	g.Expect("connection refused; trying again in")
	serveOn(t, p.listen(t), content(t, squashfs(t, tree(t, "late", ""))), nil)
	g.Expect("== this is root late")
	vmtest.Contains(t, g.End(), "Power down")
}

func TestHTTPFailures(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := netImage(t, k)
	good := serve(t, content(t, squashfs(t, tree(t, "good", ""))), nil)
	other := fmt.Sprintf("sha256:%x", sha256.Sum256(nil))
	text := serve(t, "<html>please sign in</html>", nil)
	absent := serve(t, "", http.NotFound)
	for _, tc := range []struct {
		name, line string
		want       []string
	}{
		{"wrong digest", "root=" + good.url + " rambox.digest=" + other, []string{other, good.digest, "/lib/rambox/root/http: exit 1"}},
		{"no digest", "root=" + good.url, []string{"root image without a digest: give rambox.digest=", "/lib/rambox/root/http: exit 2"}},
		{"no image", "rambox.insecure root=" + text.url, []string{"neither a file system", "it begins with \"<html>please"}},
		{"not found", "rambox.insecure root=" + absent.url, []string{"404 Not Found", "/lib/rambox/root/http: exit 1"}},
		{"no helper", "root=https://10.0.2.2/root", []string{"root=https://10.0.2.2/root: the image has no helper for it, /lib/rambox/root/https"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fails(t, vmtest.VM{Kernel: k, Initrd: initrd, Extra: userNet[:], Append: tc.line}, tc.want...)
		})
	}
}

// TestHTTPLocked has an image that is locked to one root, and a line that wants
// another.
func TestHTTPLocked(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	good := serve(t, content(t, squashfs(t, tree(t, "good", ""))), nil)
	evil := serve(t, content(t, squashfs(t, tree(t, "evil", ""))), nil)
	locked := func(line string) string {
		return netImage(t, k, script(t, "etc/rambox/locked", ""), script(t, "etc/rambox/cmdline", line+"\n"))
	}
	t.Run("digest", func(t *testing.T) {
		out := boots(t, vmtest.VM{Kernel: k, Initrd: locked("root=" + good.url + " rambox.digest=" + good.digest), Extra: userNet[:],
			Append: "rambox.mirror=" + evil.url + " rambox.digest=" + evil.digest}, "good", "rambox.digest="+evil.digest+": ignored, the image is locked")
		vmtest.Lacks(t, out, "this is root evil")
	})
	t.Run("no digest", func(t *testing.T) {
		out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: locked("root=" + good.url), Extra: userNet[:], Append: "rambox.insecure " + quiet})
		vmtest.Contains(t, out, "rambox.insecure: ignored, the image is locked", "root image without a digest", "reboot: ")
		vmtest.Lacks(t, out, "this is root", "A shell follows")
	})
}

// TestHTTPBuilt has rambox build put http-root into the image.
func TestHTTPBuilt(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	img := filepath.Join(t.TempDir(), "built.img")
	cmd := exec.Command(vmtest.Rambox(t), "build", "-q", "-o", img, "-k", "cloud", "--modules", "qemu,loop,squashfs", "--with", "http-root")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	s := serve(t, content(t, squashfs(t, tree(t, "fetched", ""))), nil)
	boots(t, vmtest.VM{Kernel: k, Initrd: img, Extra: userNet[:], Append: "root=" + s.url + " rambox.digest=" + s.digest}, "fetched", "== from /dev/loop0, squashfs, ro")
}

// TestHelper has helpers of its own.
func TestHelper(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := image(t, k, nil,
		file(t, squashfs(t, tree(t, "brought", "")), "hidden.img"),
		script(t, "lib/rambox/root/good", `#!/bin/sh
echo "root $1 to $2, $RAMBOX_MODE, $# arguments; $RAMBOX_CMDLINE"
echo "a word on standard error" >&2
exec busybox mount -t squashfs -o loop,ro /hidden.img "$2"
`),
		script(t, "lib/rambox/root/bad", "#!/bin/sh\necho looking\necho no stick with the label $1\nexit 4\n"),
		script(t, "lib/rambox/root/killed", "#!/bin/sh\necho dying\nkill -9 $$\n"),
		script(t, "lib/rambox/root/mute", "#!/bin/sh\nexit 1\n"),
		script(t, "lib/rambox/root/idle", "#!/bin/sh\necho all is well\n"),
		script(t, "lib/rambox/root/half", "#!/bin/sh\nmount -t tmpfs half $2\necho half of it is there\nexit 1\n"),
		script(t, "lib/rambox/root/noexec", "no program\n"),
	)
	vm := vmtest.VM{Kernel: k, Initrd: initrd, Extra: userNet[:], Append: "root=good:what:ever rw of.mine=1"}
	boots(t, vm, "brought", "root good:what:ever to /newroot, rw, 2 arguments; ", "of.mine=1", "a word on standard error", "squashfs, ro")
	for _, tc := range []struct{ root, want string }{
		{"bad:x", "no stick with the label bad:x (/lib/rambox/root/bad: exit 4)"},
		{"killed:x", "dying (/lib/rambox/root/killed: signal 9)"},
		{"mute:x", "/lib/rambox/root/mute: exit 1"},
		{"idle:x", "helper /lib/rambox/root/idle ended well, but nothing is mounted on /newroot"},
		{"half:x", "half of it is there (/lib/rambox/root/half: exit 1)"},
		{"noexec:x", "run /lib/rambox/root/noexec: exec format error (not a program for this machine, or a script without #!)"},
		{"absent:x", "root=absent:x: the image has no helper for it, /lib/rambox/root/absent"},
	} {
		t.Run(tc.root, func(t *testing.T) {
			vm := vm
			vm.Append = "root=" + tc.root
			fails(t, vm, tc.want)
		})
	}
}

// TestHelperWithoutNetwork has a helper that needs none, as the one in
// docs/helpers.md, and a machine that has none.
func TestHelperWithoutNetwork(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := image(t, k, nil, file(t, squashfs(t, tree(t, "brought", "")), "hidden.img"),
		script(t, "lib/rambox/root/stick", "#!/bin/sh\nexec busybox mount -t squashfs -o loop,ro /hidden.img \"$2\"\n"))
	boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: "root=stick:label"}, "brought", "squashfs, ro")
}
