package image

import (
	"bytes"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func seeds(f *testing.F) {
	f.Helper()
	tree := NewTree(time.Time{})
	for _, a := range []Add{AddFile("etc/motd", 0o644, []byte("welcome\n")), AddLink("a", "etc"), AddNode("n", fs.ModeDevice, 8, 1)} {
		if err := tree.Add(a); err != nil {
			f.Fatal(err)
		}
	}
	for _, c := range Compressions() {
		f.Add(write(f, tree, c))
	}
	plain := write(f, tree, None)
	f.Add([]byte(command(f, "", plain, "bzip2", "-c")))
	f.Add([]byte(command(f, "", plain, "xz", "--format=lzma", "-c")))
	f.Add(append(bytes.Clone(plain), plain...))
}

// FuzzRead reads any bytes as an image, all of it.
func FuzzRead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		im, err := Read(bytes.NewReader(data), int64(len(data)))
		if im == nil {
			t.Fatal("no image")
		}
		for _, a := range im.Archives {
			if a.Offset < 0 || a.Size < 0 || a.Offset+a.Size > int64(len(data)) {
				t.Errorf("archive at %d of %d bytes in %d", a.Offset, a.Size, len(data))
			}
		}
		if err != nil {
			return
		}
		err = fs.WalkDir(im.Files(), ".", func(name string, d fs.DirEntry, err error) error {
			if !fs.ValidPath(name) { // not UTF-8
				return nil
			}
			if err != nil {
				return err
			}
			if !d.Type().IsRegular() {
				return nil
			}
			r, err := im.Files().Open(name)
			if err != nil {
				return err
			}
			defer r.Close()
			const limit = 1 << 20
			_, err = io.CopyN(io.Discard, r, limit)
			if err == io.EOF {
				return nil
			}
			return err
		})
		if err != nil {
			t.Errorf("an image that was read has files that cannot be: %v", err)
		}
	})
}

// FuzzNewc reads any bytes as one archive, and writes what it read: the result
// must read the same.
func FuzzNewc(f *testing.F) {
	f.Add(record("x", 0o100644, "content"))
	f.Add(append(record("d", 0o41777, ""), record("d/l", 0o120777, "x")...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || data[0] != '0' {
			return
		}
		im, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		tree := im.Tree()
		for _, e := range tree.entries {
			if e.Mode&fs.ModeIrregular != 0 {
				return
			}
		}
		again := read(t, write(t, tree, None)).Tree()
		if diff := cmp.Diff(names(tree), names(again)); diff != "" {
			t.Error(diff)
		}
	})
}
