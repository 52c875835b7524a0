package bootmedia

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// TestLayout reads an image in pieces, without its being written.
func TestLayout(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*UKI)
	}{
		{"all parts", func(*UKI) {}},
		{"no image", func(u *UKI) { u.Initrd = nil }},
		{"no release", func(u *UKI) { u.Release = "" }},
		{"no command line", func(u *UKI) { u.Cmdline = "" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := testUKI(t)
			tc.change(u)
			want := render(t, func(b *bytes.Buffer) (int64, error) { return u.Write(b) })
			at := binary.LittleEndian.Uint32(want[60:]) + 24 + optChecksum
			clear(want[at:][:4])
			l, err := u.Layout()
			if err != nil || l.Size() != int64(len(want)) {
				t.Fatalf("Layout: %v, %d bytes, want %d", err, l.Size(), len(want))
			}
			if err := iotest.TestReader(io.NewSectionReader(l, 0, l.Size()), want); err != nil {
				t.Error(err)
			}
			random := rand.New(rand.NewPCG(1, 2))
			for range 2000 {
				from := random.Int64N(l.Size())
				b := make([]byte, random.Int64N(1+min(l.Size()-from, 5000)))
				if n, err := l.ReadAt(b, from); n != len(b) || err != nil || !bytes.Equal(b, want[from:][:n]) {
					t.Fatalf("ReadAt(%d bytes, %d) = %d, %v, or other bytes", len(b), from, n, err)
				}
			}
			if n, err := l.ReadAt(make([]byte, 10), l.Size()-4); n != 4 || err != io.EOF {
				t.Errorf("ReadAt over the end = %d, %v", n, err)
			}
		})
	}
}

// TestLayoutShort is about a file that has become shorter since.
func TestLayoutShort(t *testing.T) {
	u := testUKI(t)
	u.Kernel = io.NewSectionReader(bytes.NewReader(noise(1, 100)), 0, 70001)
	l, err := u.Layout()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, io.NewSectionReader(l, 0, l.Size())); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short kernel: %v", err)
	}
}
