//go:build linux

package boot

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDeleteTree(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(kept, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"a/b/c", "empty", "full"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"init", "a/b/file", "a/b/c/file"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 { // more than one getdents64 returns
		if err := os.Symlink(filepath.Dir(kept), filepath.Join(dir, "full", "a rather long name for a link "+string(rune('0'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	if err := deleteTree(fd, uint64(st.Dev)); err != nil {
		t.Errorf("deleteTree: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the tree: %v, %v", left, err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("behind a link: %v", err)
	}
}

func TestDeleteTreeLeavesOtherDevicesAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sub", "file")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const otherDevice = 1
	deleteTree(fd, otherDevice)
	if _, err := os.Stat(file); err != nil {
		t.Errorf("below a directory of another device: %v", err)
	}
}
