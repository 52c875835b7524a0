//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// makeTar packs entries whose body is "x" if they are regular files.
func makeTar(t testing.TB, entries ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if h.Typeflag == tar.TypeReg {
			h.Size = 1
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readTar describes the entries of an archive.
func readTar(archive []byte) (lines []string, err error) {
	err = eachTar(bytes.NewReader(archive), func(e entry) error {
		line := fmt.Sprintf("%s %o %d:%d %d:%d", e.name, e.mode, e.uid, e.gid, e.major, e.minor)
		if e.link != "" {
			line += " -> " + e.link
		}
		if e.hard != "" {
			line += " is " + e.hard
		}
		for name, value := range e.xattrs {
			line += fmt.Sprintf(" %s=%q", name, value)
		}
		if e.body != nil {
			const most = 1 << 20 // a sparse file may have very many zeros
			body, err := io.ReadAll(io.LimitReader(e.body, most))
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %q", body)
		}
		lines = append(lines, line)
		return nil
	})
	return lines, err
}

func TestTar(t *testing.T) {
	large := int64(5_000_000_000) // as much of it as archive/tar's int holds
	archive := makeTar(t,
		&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "of git"}},
		&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		&tar.Header{Typeflag: tar.TypeReg, Name: "../a", Mode: 0o4755, Uid: int(large), Gid: 2},
		&tar.Header{Typeflag: tar.TypeReg, Name: "ping", Mode: 0o755, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "c\xff", "SCHILY.acl.access": "y"}},
		&tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "../a", Mode: 0o644},
		&tar.Header{Typeflag: tar.TypeSymlink, Name: "/c", Linkname: "/etc", Mode: 0o777},
		&tar.Header{Typeflag: tar.TypeChar, Name: "null", Mode: 0o666, Devmajor: 1, Devminor: 3},
		&tar.Header{Typeflag: tar.TypeBlock, Name: "disk", Devmajor: 259, Devminor: 70_000},
		&tar.Header{Typeflag: tar.TypeFifo, Name: "fifo"},
	)
	want := []string{
		"./ 40755 0:0 0:0",
		fmt.Sprintf(`../a 104755 %d:2 0:0 "x"`, int(large)),
		`ping 100755 0:0 0:0 security.capability="c\xff" "x"`,
		"b 644 0:0 0:0 is ../a",
		"/c 120777 0:0 0:0 -> /etc",
		"null 20666 0:0 1:3",
		"disk 60000 0:0 259:70000",
		"fifo 10000 0:0 0:0",
	}
	for _, insecure := range []string{"tarinsecurepath=1", "tarinsecurepath=0"} {
		t.Setenv("GODEBUG", insecure)
		got, err := readTar(archive)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", insecure, diff)
		}
	}
}

func TestTarErrors(t *testing.T) {
	whole := makeTar(t, &tar.Header{Typeflag: tar.TypeReg, Name: "a"}, &tar.Header{Typeflag: tar.TypeReg, Name: "b"})
	odd := makeTar(t, &tar.Header{Typeflag: 'D', Name: "dump"})
	damaged := bytes.Clone(whole)
	damaged[0] = 'c'
	for _, tc := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"cut in a header", whole[:1100], "unexpected EOF"},
		{"cut in a file", whole[:512], "unexpected EOF"},
		{"damaged", damaged, "invalid tar header"},
		{"another kind of entry", odd, `"dump" is of type 'D'`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := readTar(tc.archive); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%q, %v, want an error with %q", got, err, tc.want)
			}
		})
	}
}

func FuzzTar(f *testing.F) {
	f.Add(makeTar(f,
		&tar.Header{Typeflag: tar.TypeReg, Name: "../a", Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.x": "y"}},
		&tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "../a"},
		&tar.Header{Typeflag: tar.TypeSymlink, Name: strings.Repeat("c/", 200), Linkname: "/etc"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		lines, err := readTar(archive)
		if err == nil && len(lines)*512 > len(archive) {
			t.Errorf("%d entries in %d bytes", len(lines), len(archive))
		}
	})
}
