package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/internal/kernels"
)

// modulesDir makes the index of a kernel that has these modules.
func modulesDir(t *testing.T, modules ...string) string {
	t.Helper()
	dir := t.TempDir()
	var dep strings.Builder
	for _, m := range modules {
		dep.WriteString("kernel/" + m + ".ko:\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "modules.dep"), []byte(dep.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCanMount(t *testing.T) {
	nine := kernels.Config{"NET_9P": "m", "NET_9P_VIRTIO": "m", "9P_FS": "m"}
	for _, tc := range []struct {
		name, kind string
		kernel     KernelInfo
		want       string // in the error; "" for none
	}{
		{"built in", "9p", KernelInfo{Config: kernels.Config{"NET_9P": "y", "NET_9P_VIRTIO": "y", "9P_FS": "y"}}, ""},
		{"modules", "9p", KernelInfo{Config: nine, ModulesDir: modulesDir(t, "9pnet", "9pnet_virtio", "9p")}, ""},
		{"a module is missing", "9p", KernelInfo{Config: nine, ModulesDir: modulesDir(t, "9pnet", "9p")}, "has no module 9pnet_virtio"},
		{"no modules at all", "9p", KernelInfo{Config: nine}, "module 9pnet is not here"},
		{"off", "virtiofs", KernelInfo{Config: kernels.Config{"FUSE_FS": "y"}}, "without CONFIG_VIRTIO_FS"},
		{"unknown", "virtiofs", KernelInfo{}, ""},
		{"unknown with modules", "virtiofs", KernelInfo{ModulesDir: modulesDir(t, "fuse", "virtiofs")}, ""},
		{"unknown, not in the modules", "9p", KernelInfo{ModulesDir: modulesDir(t, "fuse", "virtiofs")}, "has no module 9pnet"},
		{"no such kind", "nfs", KernelInfo{}, "nfs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.kernel.CanMount(tc.kind)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("CanMount(%q) of %+v: %v, want %q", tc.kind, tc.kernel, err, tc.want)
			}
		})
	}
}

func TestFstabLine(t *testing.T) {
	for _, tc := range []struct {
		line Fstab
		want string
	}{
		{Fstab{"share0", "/src", "virtiofs", ""}, "share0 /src virtiofs defaults 0 0\n"},
		{Fstab{"share0", "/a b\tc\\d#e\nf", "9p", "ro"}, `share0 /a\040b\011c\134d\043e\012f 9p ro 0 0` + "\n"},
	} {
		if got := tc.line.String(); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.line, got, tc.want)
		}
	}
}

// TestFstabIsAddedTo keeps what the user's own has, and otherwise the
// skeleton's.
func TestFstabIsAddedTo(t *testing.T) {
	line := Fstab{"share0", "/src", "9p", "ro"}
	for name, tc := range map[string]struct {
		add  []Add
		want string
	}{
		"skeleton":    {nil, "tmpfs /dev/shm tmpfs nosuid,nodev,mode=1777 0 0\nshare0 /src 9p ro 0 0\n"},
		"the user's":  {[]Add{AddFile("etc/fstab", 0o600, []byte("none /x tmpfs\n"))}, "none /x tmpfs\nshare0 /src 9p ro 0 0\n"},
		"no end mark": {[]Add{AddFile("etc/fstab", 0o600, []byte("none /x tmpfs"))}, "none /x tmpfs\nshare0 /src 9p ro 0 0\n"},
	} {
		tree, _, err := Assemble(Spec{Add: tc.add, Modules: []string{SetNone}, Fstab: []Fstab{line}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := tree.readFile("etc/fstab")
		if err != nil || !strings.HasSuffix(string(got), tc.want) {
			t.Errorf("%s: %q, %v, want it to end in %q", name, got, err, tc.want)
		}
	}
}

func TestEnviron(t *testing.T) {
	tree, _, err := Assemble(Spec{Modules: []string{SetNone}, Environ: []string{"A=1", "B=", "C=x\ny=\xff"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.readFile("etc/rambox/environ")
	if diff := cmp.Diff("A=1\x00B=\x00C=x\ny=\xff\x00", string(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"A", "=x", "A=\x00"} {
		if _, _, err := Assemble(Spec{Modules: []string{SetNone}, Environ: []string{bad}}); err == nil {
			t.Errorf("environment %q is taken", bad)
		}
	}
}

// TestPayloadOnAShare stays where it is, and its libraries come along.
func TestPayloadOnAShare(t *testing.T) {
	dynamic := "/bin/ls"
	tree, report, err := Assemble(Spec{Payload: []string{dynamic, "-l"}, Modules: []string{SetNone}, Mounted: []string{"/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := tree.Lookup(dynamic); ok || report.Payload[0] != dynamic || len(report.Libraries) == 0 {
		t.Errorf("in the image: %v; payload %q, libraries %q", ok, report.Payload, report.Libraries)
	}
	if _, _, err := Assemble(Spec{Payload: []string{"/bin/no-such"}, Modules: []string{SetNone}, Mounted: []string{"/bin"}}); err == nil {
		t.Errorf("a payload that is not there is taken")
	}
}

func TestSize(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"empty": 0, "one": 1, "page": 4096, "more": 4097} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Size(dir); got != 4*4096 || err != nil {
		t.Errorf("Size = %d, %v, want %d", got, err, 4*4096)
	}
	if _, err := Size(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there has a size")
	}
}
