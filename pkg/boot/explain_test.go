package boot

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/cmdline"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestExplain(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		image      Image
	}{
		{"payload", `rambox.payload=/app hostname=node1 panic=10 loop.max_loop=8 -- "two words"`, withShell},
		{"root", "root=/dev/vda1 rootfstype=ext4,xfs rootflags=noatime,data=journal rw rootwait rootdelay=1.5s module_blacklist=nouveau rambox.onexti=x", withShell},
		{"init", "rambox init=/linuxrc rambox.rescue=reboot", Image{Load: []string{"loop"}, Mounts: []Mount{{"tmpfs", "/srv", "tmpfs", 0, "", false}}}},
		{"shell", "shell", withShell},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := NewPlan(cmdline.Parse(tc.line), tc.image)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "explain-"+tc.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(plan.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), plan.String()); diff != "" {
				t.Errorf("explain %q (-want +got):\n%s", tc.line, diff)
			}
		})
	}
}

func ExampleNewPlan() {
	plan, err := NewPlan(cmdline.Parse("root=/dev/vda1 rootfstype=ext4 rw"), Image{Shell: "/bin/sh"})
	fmt.Println(plan, err)
	// Output:
	// handoff    root (root=/dev/vda1)
	// root       /dev/vda1, ext4, rw
	// wait       at most 30s
	// exec       /sbin/init, else /etc/init, else /bin/init, else /bin/sh on the root
	// shell      /bin/sh
	// modules    by the devices found, and fs-ext4
	// network    off
	// on failure shell
	//  <nil>
}
