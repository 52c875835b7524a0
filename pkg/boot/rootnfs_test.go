//go:build !nonet

package boot

import (
	"strings"
	"testing"

	"rambox/pkg/cmdline"
)

func TestNFSMount(t *testing.T) {
	lease := map[string]string{"IPV4ADDR": "10.0.2.15", "ROOTSERVER": "10.0.2.2", "ROOTPATH": "/srv/%s"}
	for _, tc := range []struct {
		name, line, source, data string
		lease                    map[string]string
	}{
		{"all on the line", "root=nfs:10.0.0.1:/srv:vers=4.2,ro", "10.0.0.1:/srv", "addr=10.0.0.1,nolock,clientaddr=10.0.2.15,vers=4.2", lease},
		{"the server of the lease", "root=nfs:/srv", "10.0.2.2:/srv", "addr=10.0.2.2,nolock,clientaddr=10.0.2.15,vers=3", lease},
		{"all of the lease", "root=/dev/nfs", "10.0.2.2:/srv/10.0.2.15", "addr=10.0.2.2,nolock,clientaddr=10.0.2.15,vers=3", lease},
		{"the server in option 17", "root=/dev/nfs", "10.9.9.9:/x", "addr=10.9.9.9,nolock,vers=3",
			map[string]string{"ROOTSERVER": "10.0.2.2", "ROOTPATH": "10.9.9.9:/x,rw"}},
		{"the kernel's default path", "root=/dev/nfs nolock", "10.0.2.2:/tftpboot/10.0.2.15", "addr=10.0.2.2,nolock,clientaddr=10.0.2.15,vers=3",
			map[string]string{"ROOTSERVER": "10.0.2.2", "IPV4ADDR": "10.0.2.15", "ROOTPATH": ""}},
		{"IPv6", "root=nfs:[fd00::1]:/srv", "[fd00::1]:/srv", "addr=fd00::1,nolock,vers=3", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := NewPlan(cmdline.Parse(tc.line), withShell)
			if err != nil {
				t.Fatal(err)
			}
			source, data, err := p.Root.nfsMount(tc.lease)
			if err != nil || source != tc.source || data != tc.data {
				t.Errorf("nfsMount = %q, %q, %v, want %q, %q", source, data, err, tc.source, tc.data)
			}
		})
	}
	p, _ := NewPlan(cmdline.Parse("root=/dev/nfs"), withShell)
	if _, _, err := p.Root.nfsMount(nil); err == nil || !strings.Contains(err.Error(), "no NFS server") {
		t.Errorf("nfsMount without a server: %v", err)
	}
}
