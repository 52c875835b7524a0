//go:build linux

package root

import (
	"testing"
	"time"

	"rambox/internal/vmtest"
)

var nfsClient = []string{"virtio_net", "nfs", "nfsv3", "nfsv4", "overlay"}

// nfsLine puts the client on the server's network. Its address is its own, the
// server has no DHCP.
const nfsLine = " ip=" + nfsClientIP + ":::255.255.255.0::eth0:off"

// TestNFSServers has the roots of Debian's NFS servers, at the ports where
// rpcbind says that they are.
func TestNFSServers(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	vm := vmtest.VM{Kernel: k, Initrd: image(t, k, nfsClient), Limit: 2 * time.Minute}
	server := nfsImage(t, k)
	for _, name := range [...]string{"linux", "ganesha"} {
		t.Run(name, func(t *testing.T) {
			m := newNFSMachine(t)
			m.start(t, k, server, name, tree(t, "remote", `echo "$1" >/new && echo "== written"`))
			m.boots(t, vm, name == "linux")
			m.refuses(t, vm)
		})
	}
}

// boots has a client boot from the machine, in every version that
// TestNFSServersLate does not have; unless all is set, only where the client
// writes, which shows more of a server.
func (m *nfsMachine) boots(t *testing.T, vm vmtest.VM, all bool) {
	const at = nfsServerIP + ":" + nfsExport
	for _, tc := range []struct {
		name, line, want string
		written          bool
	}{
		{"nfsroot,rw", "root=/dev/nfs nfsroot=" + at + " rw", at + ", nfs, rw,relatime,vers=3,", true},
		{"nfs4:rw", "root=nfs4:" + at + ":rw", at + ", nfs4, rw,relatime,vers=4.0,", true},
		{"nfsvers=4.2", "root=nfs:" + at + ":nfsvers=4.2 rw", at + ", nfs4, rw,relatime,vers=4.2,", true},
		{"nfsroot,vers=4.1", "root=/dev/nfs nfsroot=" + at + ",vers=4.1,hard", at + ", nfs4, ro,relatime,vers=4.1,", false},
		{"rootflags", "root=nfs4:" + at + " rootflags=minorversion=1,noatime", at + ", nfs4, ro,noatime,vers=4.1,", false},
		{"overlay", "root=nfs4:" + at + ":vers=4.2 rambox.overlay", "overlay, overlay, rw", false},
	} {
		if !all && !tc.written {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			vm.Append, vm.Extra = tc.line+nfsLine+" -- "+tc.name, m.connect(t)
			boots(t, vm, "remote", "== from "+tc.want)
			if got := m.written(); (got == tc.name) != tc.written {
				t.Errorf("the server has %q in the guest's file; has this guest written it: want %v", got, tc.written)
			}
		})
	}
}

// refuses has a client ask for a directory that is not for it. In version 4 it
// cannot be seen, either.
func (m *nfsMachine) refuses(t *testing.T, vm vmtest.VM) {
	const at = nfsServerIP + ":" + nfsForbidden
	for _, tc := range []struct{ name, root, want string }{
		{"nfs", "root=nfs:", "permission denied"},
		{"nfs4", "root=nfs4:", "no such file or directory"},
	} {
		t.Run("forbidden "+tc.name, func(t *testing.T) {
			vm.Append, vm.Extra = tc.root+at+nfsLine, m.connect(t)
			report := fails(t, vm, `"`+at+`" (fs type nfs, flags 0x1): `+tc.want)
			vmtest.Lacks(t, report, "trying again")
		})
	}
}

// TestNFSServersLate starts the server's machine when the client has asked for
// a while.
func TestNFSServersLate(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	initrd, server := image(t, k, nfsClient), nfsImage(t, k)
	for _, tc := range []struct{ name, root, want string }{
		{"nfs", "root=nfs:", ", nfs, ro,relatime,vers=3,"},
		{"nfs4", "root=nfs4:", ", nfs4, ro,relatime,vers=4.0,"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newNFSMachine(t)
			g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: initrd, Extra: m.connect(t), Limit: 4 * time.Minute,
				Append: quiet + " rootwait=120 " + tc.root + nfsServerIP + ":" + nfsExport + nfsLine})
			g.Expect("trying again")
			m.start(t, k, server, "linux", tree(t, "late", ""))
			g.Expect("== this is root late")
			out := clean(g.End())
			vmtest.Contains(t, out, "== from "+nfsServerIP+":"+nfsExport+tc.want, "Power down")
			vmtest.Lacks(t, out, "did not boot")
		})
	}
}

// TestNFSServersNever has nobody at the server's address, and somebody who
// takes the connection and never says a word; and options with which nobody is
// asked.
func TestNFSServersNever(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	initrd := image(t, k, nfsClient)
	const at, silent = nfsServerIP + ":" + nfsExport, "10.0.2.2:" + exported
	mute := nfsOptions(listen(t).Addr())
	for _, tc := range []struct {
		name, line string
		user       bool
		want       string
	}{
		{"nfs, nobody", "root=nfs:" + at + nfsLine, false, "NFS server of " + at + " did not answer within 5s"},
		{"nfs4, nobody", "root=nfs4:" + at + nfsLine, false, "NFS server of " + at + " did not answer within 5s"},
		{"nfs4, silent", "rambox.net.timeout=30 root=nfs4:" + silent + ":" + mute, true, "NFS server of " + silent + " did not answer within 5s"},
		{"no such version", "root=nfs4:" + at + ":vers=4.9" + nfsLine, false, "invalid argument (options addr=" + nfsServerIP + ",nolock,clientaddr=" + nfsClientIP + ",vers=4.9)"},
		{"no such option", "root=nfs:" + at + nfsLine + " rootflags=nonsense=1", false, "vers=3,nonsense=1)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			net := userNet[:]
			if !tc.user {
				net = newNFSMachine(t).connect(t)
			}
			fails(t, vmtest.VM{Kernel: k, Initrd: initrd, Extra: net, Append: "rootwait=5 " + tc.line, Limit: 2 * time.Minute}, tc.want)
		})
	}
}
