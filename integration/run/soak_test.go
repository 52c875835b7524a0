//go:build linux

package run

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"rambox/internal/vmtest"
)

// TestSoak boots RAMBOX_SOAK times (make soak), or a few times, in a row and
// then four at a time: Debian's kernel, and ours in every second boot.
func TestSoak(t *testing.T) {
	n := 4
	if s := os.Getenv("RAMBOX_SOAK"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatalf("RAMBOX_SOAK=%s: %v", s, err)
		}
	}
	for _, tc := range []struct {
		name             string
		boots, atOneTime int
	}{{"in a row", n, 1}, {"four at once", n * 2, 4}} {
		t.Run(tc.name, func(t *testing.T) {
			rambox, kernels := vmtest.Rambox(t), [...]string{vmtest.CloudKernel(t).Path, kernel(t)}
			boots := make(chan int)
			var all sync.WaitGroup
			for range tc.atOneTime {
				all.Go(func() {
					for i := range boots {
						soak(t, rambox, kernels[i%len(kernels)], i)
					}
				})
			}
			for i := 0; i < tc.boots && !t.Failed(); i++ {
				boots <- i
			}
			close(boots)
			all.Wait()
		})
	}
}

// soak boots once, with a status of its own.
func soak(t *testing.T, rambox, kernel string, i int) {
	want, in := i%120, fmt.Sprint("line ", i)
	got, err := try(rambox, []byte(in), "run", "--kernel", kernel, "--", "sh", "-c", fmt.Sprintf("cat; exit %d", want))
	if err != nil || got.status != want || got.stdout != in || got.stderr != "" {
		t.Errorf("boot %d: %v, status %d, want %d; output %q, error %q", i, err, got.status, want, got.stdout, got.stderr)
	}
}
