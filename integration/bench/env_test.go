//go:build linux

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// TestMain says first what is measured, in the lines that the format of
// benchmarks has for that (golang.org/design/14313-benchmark-format).
func TestMain(m *testing.M) {
	fmt.Println("date:", time.Now().UTC().Format(time.DateOnly))
	fmt.Println("go:", runtime.Version())
	for _, tool := range []struct {
		name string
		argv []string
	}{
		{"rambox", []string{"git", "describe", "--always", "--dirty"}}, // none in an archive of the sources
		{"qemu", []string{"dpkg-query", "-W", "-f", "${Version}", "qemu-system-x86"}},
		{"busybox", []string{"dpkg-query", "-W", "-f", "${Version}", "busybox-static"}},
		{"isc-dhcp-client", []string{"dpkg-query", "-W", "-f", "${Version}", "isc-dhcp-client"}},
	} {
		if out, err := exec.Command(tool.argv[0], tool.argv[1:]...).Output(); err == nil {
			fmt.Printf("%s: %s\n", tool.name, strings.TrimSpace(string(out)))
		}
	}
	fmt.Println("kernel-cloud:", release("cloud"))
	fmt.Println("kernel-run:", release("run"))
	os.Exit(m.Run())
}

// release names a kernel, which the benchmarks get first if it is not there.
func release(spec string) string {
	k, err := kernels.Find(spec)
	if err != nil {
		return "none yet"
	}
	return k.Release
}

// printVersions says which versions of packages a Debian has.
func printVersions(b *testing.B, root string, packages ...string) {
	b.Helper()
	args := append([]string{"--admindir", filepath.Join(root, "var/lib/dpkg"), "-W", "-f", "${Package}: ${Version}\n"}, packages...)
	fmt.Print(vmtest.Command(b, "dpkg-query", args...))
}
