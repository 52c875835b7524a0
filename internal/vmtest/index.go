//go:build linux

package vmtest

import (
	"os"
	"testing"

	"rambox/pkg/kmod"
)

func readIndex(t testing.TB, dir string) *kmod.Index {
	t.Helper()
	index, err := kmod.ReadIndex(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return index
}
