//go:build linux && small

package media

import (
	"os"
	"testing"

	"rambox/internal/kernels"
)

// TestSmallISO holds the size of an image with our kernel for PCs, which has a
// shell and DHCP, and boots it as TestISO boots Debian's.
func TestSmallISO(t *testing.T) {
	k, err := kernels.Build(t.Context(), kernels.BuildOptions{Profile: "iso", Arch: "amd64", Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	iso := build(t, "iso", "rambox.iso", "--kernel", k.Path)
	info, err := os.Stat(iso)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.2f MiB", float64(info.Size())/(1<<20))
	if most := int64(5 << 20); info.Size() > most {
		t.Errorf("the image has %d bytes, want at most %d", info.Size(), most)
	}
	testISO(t, iso)
}
