//go:build linux

package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSparse writes data and holes in pieces of all sizes.
func TestSparse(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var want []byte
		for range random.IntN(6) {
			piece := make([]byte, random.IntN(5*blockSize))
			if random.IntN(2) == 0 {
				for i := range piece {
					piece[i] = byte(random.IntN(3)) // zeros in between
				}
			}
			want = append(want, piece...)
		}
		file, err := os.Create(filepath.Join(t.TempDir(), "file"))
		if err != nil {
			t.Fatal(err)
		}
		w := sparseWriter{file: file}
		for rest := want; len(rest) > 0; {
			n := 1 + random.IntN(min(len(rest), 3*blockSize))
			if got, err := w.Write(rest[:n]); got != n || err != nil {
				t.Fatalf("Write of %d bytes: %d, %v", n, got, err)
			}
			rest = rest[n:]
		}
		if err := w.finish(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes differ from the %d written", len(got), len(want))
		}
		file.Close()
	}
}

// TestImageMemory fills an image with zeros, which take none, and empties one.
func TestImageMemory(t *testing.T) {
	img := newTestImage(t, make([]byte, 8<<20))
	blocks := func() int64 {
		var st unix.Stat_t
		if err := unix.Fstat(int(img.file.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks
	}
	if n := blocks(); n != 0 || img.size() != 8<<20 {
		t.Errorf("%d bytes of zeros take %d blocks", img.size(), n)
	}
	if _, err := img.Write(bytes.Repeat([]byte{1}, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if n := blocks(); n != 1<<20/512 {
		t.Errorf("1 MiB takes %d blocks", n)
	}
	if err := img.discard(); err != nil || blocks() != 0 || img.size() != 0 {
		t.Errorf("discard: %v; %d blocks and %d bytes are left", err, blocks(), img.size())
	}
}
