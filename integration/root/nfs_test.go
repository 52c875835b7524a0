//go:build linux

package root

import (
	"slices"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

var nfsModules = []string{"virtio_net", "nfs", "nfsv3"}

func TestNFS(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	initrd := image(t, k, nfsModules)
	for _, tc := range []struct{ name, before, after, want string }{
		{"nfs:", "root=nfs:10.0.2.2:" + exported + ":", "", "== from 10.0.2.2:" + exported + ", nfs, ro,"},
		{"nfsroot=", "root=/dev/nfs nfsroot=10.0.2.2:" + exported + ",", " ip=dhcp", "== from 10.0.2.2:" + exported + ", nfs, ro,"},
		{"the lease's server", "root=nfs:" + exported + ":", "", "== from 10.0.2.2:" + exported + ", nfs, ro,"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := listen(t)
			s := serveNFS(l, tree(t, "remote", ""))
			boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Extra: userNet[:], Append: tc.before + nfsOptions(l.Addr()) + tc.after}, "remote", tc.want)
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Equal(s.asked, []string{exported}) {
				t.Errorf("the guest has asked for %q, want %s", s.asked, exported)
			}
		})
	}
}

// TestNFSLate has a server that begins when the first tries have been in vain.
func TestNFSLate(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	p := reserve(t)
	g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: image(t, k, nfsModules), Extra: userNet[:], Limit: 2 * time.Minute,
		Append: "rootwait root=nfs:10.0.2.2:" + exported + ":" + nfsOptions(p.address)})
	g.Expect("trying again")
	g.Expect("trying again")
	serveNFS(p.listen(t), tree(t, "late", ""))
	g.Expect("== this is root late")
	vmtest.Contains(t, g.End(), "Power down")
}

func TestNFSFailures(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	initrd := image(t, k, nfsModules)
	l, mute := listen(t), listen(t) // mute takes connections, and never says a word
	serveNFS(l, tree(t, "remote", ""))
	for _, tc := range []struct {
		name, line string
		want       []string
	}{
		{"refused path", "root=nfs:10.0.2.2:/etc:" + nfsOptions(l.Addr()), []string{"10.0.2.2:/etc", "permission denied"}},
		{"nobody listens", "rambox.net.timeout=30 rootwait=3 root=nfs:10.0.2.2:" + exported + ":port=1,mountport=1", []string{"10.0.2.2:" + exported}},
		{"silent server", "rambox.net.timeout=30 rootwait=3 root=nfs:10.0.2.2:" + exported + ":" + nfsOptions(mute.Addr()), []string{"NFS server of 10.0.2.2:" + exported + " did not answer within 3s"}},
		{"a name", "root=nfs:server.example:" + exported, []string{"NFS server server.example: name it by its address"}},
		{"no path", "root=nfs:10.0.2.2", []string{"want [SERVER:]/PATH"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fails(t, vmtest.VM{Kernel: k, Initrd: initrd, Extra: userNet[:], Append: tc.line, Limit: 2 * time.Minute}, tc.want...)
		})
	}
	t.Run("no module", func(t *testing.T) {
		fails(t, vmtest.VM{Kernel: k, Initrd: image(t, k, []string{"virtio_net"}), Extra: userNet[:], Append: "root=nfs:10.0.2.2:" + exported + ":" + nfsOptions(l.Addr())},
			"the kernel has no NFS, nor has the image its modules")
	})
}
