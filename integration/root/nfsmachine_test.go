//go:build linux

package root

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// nfsPackages are Debian's two NFS servers: the kernel's, and one in user
// space. They run in a machine of their own, so that no server has to be
// installed, and started, where the tests run.
const nfsPackages = "nfs-kernel-server nfs-ganesha-vfs rpcbind"

// nfsFiles is a directory with the files of nfsPackages and of all that they
// depend on. It is made once, by the host's sources of packages.
func nfsFiles(t *testing.T) string {
	t.Helper()
	return vmtest.DebianTree(t, "amd64-"+strings.ReplaceAll(nfsPackages, " ", ","), func(tmp string) {
		// Lists of our own, in which nothing is installed: those of the host may
		// be old, and a library that it has is one that the servers' machine lacks.
		vmtest.Command(t, "sh", "-ec", `cd "$1"
			mkdir -p state/lists/partial cache/archives/partial root/usr/bin root/usr/sbin root/usr/lib root/usr/lib64
			: >state/status
			cat >conf <<-EOF
				Dir::State "$1/state"; Dir::State::status "$1/state/status"; Dir::Cache "$1/cache";
				APT::Architecture "amd64"; APT::Sandbox::User "root"; APT::Update::Error-Mode "any"; Acquire::Languages "none";
				#clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success;
			EOF
			apt-get -c conf -qq update
			apt-get -c conf -qq -y --no-install-recommends --download-only install $2
			for d in bin sbin lib lib64; do ln -s usr/$d root/$d; done
			for deb in cache/archives/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C root; done
			rm -rf root/usr/share`, "sh", tmp, nfsPackages)
	})
}

// addServer puts a program or a plug-in of files into an image, with its
// libraries.
func addServer(t *testing.T, files, dir, name string) {
	t.Helper()
	vmtest.Copy(t, filepath.Join(files, name), dir, name)
	for word := range strings.FieldsSeq(vmtest.Command(t, "chroot", files, "/lib64/ld-linux-x86-64.so.2", "--list", name)) {
		if filepath.IsAbs(word) {
			vmtest.Copy(t, filepath.Join(files, word), dir, word)
		}
	}
}

// The network of the tests; the server's directories: one for everybody, and
// one that is not for the client; and what it says: that it serves, in the
// words of ganesha, and what a guest has written.
const (
	nfsServerIP, nfsClientIP = "10.9.0.1", "10.9.0.2"
	nfsExport, nfsForbidden  = "/srv/root", "/srv/forbidden"
	nfsServing, nfsNew       = "NFS SERVER INITIALIZED", "== a guest's file: "
)

// serveScript is the payload of the server's machine. Its argument says which
// server it is. No client is there that could have locks from before, so the
// time of grace, in which nobody may open a file, ends at once.
const serveScript = `#!/bin/sh
set -e
mount -t ext4 /dev/vda /srv
rpcbind
case $1 in
linux)
	mount -t nfsd nfsd /proc/fs/nfsd
	exportfs -ra
	rpc.mountd
	rpc.nfsd 4
	echo Y >/proc/fs/nfsd/v4_end_grace
	echo "` + nfsServing + `"
	;;
ganesha)
	mkdir /run/ganesha
	(ganesha.nfsd -F -f /etc/ganesha.conf -L /dev/console -N EVENT; busybox poweroff -f) &
	;;
esac
while read -r _; do echo "` + nfsNew + `$(cat ` + nfsExport + `/new)"; done
`

const exportsFile = nfsExport + ` *(rw,no_root_squash,no_subtree_check)
` + nfsForbidden + ` 10.9.0.77(ro,no_subtree_check)
`

const ganeshaConf = `NFS_CORE_PARAM { Protocols = 3, 4; Enable_NLM = false; Enable_RQUOTA = false; }
NFSv4 { Graceless = true; UseGetpwnam = true; RecoveryRoot = /run/ganesha; }
EXPORT_DEFAULTS { Squash = None; SecType = sys; Protocols = 3, 4; }
EXPORT { Export_Id = 1; Path = ` + nfsExport + `; Pseudo = ` + nfsExport + `; Access_Type = RW; FSAL { Name = VFS; } }
EXPORT { Export_Id = 2; Path = ` + nfsForbidden + `; Pseudo = ` + nfsForbidden + `; Access_Type = None; FSAL { Name = VFS; } }
`

// nfsImage makes the initramfs of the server's machine.
func nfsImage(t *testing.T, k kernels.Kernel) string {
	t.Helper()
	files := nfsFiles(t)
	return image(t, k, []string{"virtio_net", "nfsd"}, func(dir string) {
		for _, p := range [...]string{"/usr/sbin/rpcbind", "/usr/sbin/exportfs", "/usr/sbin/rpc.mountd", "/usr/sbin/rpc.nfsd",
			"/usr/bin/ganesha.nfsd", "/usr/lib/x86_64-linux-gnu/ganesha/libfsalvfs.so"} {
			addServer(t, files, dir, p)
		}
		for _, p := range [...]string{"/etc/netconfig", "/etc/rpc", "/etc/services", "/etc/protocols"} {
			vmtest.Copy(t, filepath.Join(files, p), dir, p)
		}
		vmtest.WriteFile(t, dir, "etc/passwd", 0o644, "root:x:0:0::/:/bin/sh\n_rpc:x:101:65534::/run/rpcbind:/bin/false\n")
		vmtest.WriteFile(t, dir, "etc/exports", 0o644, exportsFile)
		vmtest.WriteFile(t, dir, "etc/ganesha.conf", 0o644, ganeshaConf)
		vmtest.WriteFile(t, dir, "serve", 0o755, serveScript)
		for _, d := range [...]string{"srv", "var/lib/nfs/v4recovery"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("/run", filepath.Join(dir, "var/run")); err != nil {
			t.Fatal(err)
		}
	})
}

// nfsMachine is a machine with an NFS server, and the network that it is on.
// The network is there from the beginning, the machine when it is started.
type nfsMachine struct {
	wire *vmtest.Wire

	mu     sync.Mutex
	client *vmtest.Wire // of the one client that there is at a time
	on     bool
	guest  *vmtest.Guest
}

func newNFSMachine(t *testing.T) *nfsMachine {
	t.Helper()
	m := &nfsMachine{wire: vmtest.NewWire(t)}
	go func() {
		for {
			frame, err := m.wire.Read()
			if err != nil {
				return
			}
			m.mu.Lock()
			to := m.client
			m.mu.Unlock()
			if to != nil {
				to.Write(frame) // a client that has gone misses nothing
			}
		}
	}()
	return m
}

// start boots the machine, whose root is dir, and waits until it serves.
func (m *nfsMachine) start(t *testing.T, k kernels.Kernel, initrd, server, dir string) {
	t.Helper()
	top := t.TempDir()
	for name, content := range map[string]string{nfsExport: dir, nfsForbidden: t.TempDir()} {
		vmtest.Command(t, "cp", "-a", content, filepath.Join(top, filepath.Base(name)))
	}
	m.mu.Lock()
	m.on = true
	m.mu.Unlock()
	m.guest = vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: disks(ext4(t, top)), Limit: 10 * time.Minute,
		Extra:  card(m.wire, 1),
		Append: fmt.Sprintf("%s modules_load=nfsd rambox.payload=/serve ip=%s:::255.255.255.0::eth0:off -- %s", quiet, nfsServerIP, server)})
	m.guest.Expect(nfsServing)
}

// written is what the last guest that could write has written.
func (m *nfsMachine) written() string {
	m.guest.Send("\n")
	m.guest.Expect(nfsNew)
	return clean(m.guest.Expect("\n"))
}

// connect is the arguments of a machine on the server's network, and
// disconnects the one before.
func (m *nfsMachine) connect(t *testing.T) []string {
	t.Helper()
	w := vmtest.NewWire(t)
	m.mu.Lock()
	m.client = w
	m.mu.Unlock()
	go func() {
		for {
			frame, err := w.Read()
			if err != nil {
				return
			}
			m.mu.Lock()
			on := m.on
			m.mu.Unlock()
			if on {
				m.wire.Write(frame)
			}
		}
	}()
	return card(w, 2)
}

// card is the network card at the end of a wire, the number of which is in its
// address.
func card(w *vmtest.Wire, number int) []string {
	return []string{"-netdev", w.Netdev("n0"), "-device", fmt.Sprintf("virtio-net-pci,netdev=n0,romfile=,mac=52:54:00:09:00:%02x", number)}
}
