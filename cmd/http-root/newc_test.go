//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// newcEntry is an entry of an archive that a test makes.
type newcEntry struct {
	name               string
	inode, mode, links uint32
	uid, mtime         uint32
	rmajor, rminor     uint32
	body               string
}

func (e newcEntry) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "070701%08x%08X%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		e.inode, e.mode, e.uid, 0, e.links, e.mtime, len(e.body), 0, 0, e.rmajor, e.rminor, len(e.name)+1, 0, e.name)
	b.Write(make([]byte, -b.Len()&3))
	b.WriteString(e.body)
	b.Write(make([]byte, -b.Len()&3))
	return b.Bytes()
}

func makeNewc(entries ...newcEntry) []byte {
	var b []byte
	for _, e := range entries {
		b = append(b, e.bytes()...)
	}
	return append(b, newcEntry{name: newcTrailer, links: 1}.bytes()...)
}

// readNewc describes the entries of an archive.
func readNewc(archive []byte) (lines []string, err error) {
	err = eachNewc(bufio.NewReader(bytes.NewReader(archive)), func(e entry) error {
		line := fmt.Sprintf("%s %o %d %d %d:%d", e.name, e.mode, e.uid, e.mtime.Unix(), e.major, e.minor)
		if e.link != "" {
			line += " -> " + e.link
		}
		if e.hard != "" {
			line += " is " + e.hard
		}
		if e.body != nil {
			body, err := io.ReadAll(e.body)
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

func TestNewc(t *testing.T) {
	const reg, dir, link = unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK
	for _, tc := range []struct {
		name    string
		archive []byte
		want    []string
	}{
		{"nothing", makeNewc(), nil},
		{"a directory and files", makeNewc(
			newcEntry{name: ".", mode: dir | 0o755, links: 2},
			newcEntry{name: "a", mode: reg | 0o4755, links: 1, uid: 7, mtime: 1 << 31, body: "12345"},
			newcEntry{name: "empty", mode: reg | 0o600, links: 1},
			newcEntry{name: "null", mode: unix.S_IFCHR | 0o666, links: 1, rmajor: 1, rminor: 3},
			newcEntry{name: "link", mode: link | 0o777, links: 1, body: "/where"},
		), []string{
			". 40755 0 0 0:0",
			`a 104755 7 2147483648 0:0 "12345"`,
			`empty 100600 0 0 0:0 ""`,
			"null 20666 0 0 1:3",
			"link 120777 0 0 0:0 -> /where",
		}},
		{"several names, the contents at the last", makeNewc(
			newcEntry{name: "a", inode: 5, mode: reg, links: 3},
			newcEntry{name: "b", inode: 6, mode: reg, links: 2},
			newcEntry{name: "c", inode: 5, mode: reg, links: 3},
			newcEntry{name: "d", inode: 5, mode: reg, links: 3, body: "x"},
			newcEntry{name: "e", inode: 5, mode: unix.S_IFIFO, links: 3},
		), []string{`a 100000 0 0 0:0 ""`, `b 100000 0 0 0:0 ""`, "c 100000 0 0 0:0 is a", `d 100000 0 0 0:0 is a "x"`, "e 10000 0 0 0:0"}},
		{"two archives with zeros between", append(append(makeNewc(newcEntry{name: "a", inode: 5, mode: reg, links: 2, body: "x"}), make([]byte, 413)...),
			makeNewc(newcEntry{name: "b", inode: 5, mode: reg, links: 2, body: "y"})...),
			[]string{`a 100000 0 0 0:0 "x"`, `b 100000 0 0 0:0 "y"`}},
		{"contents that no directory has", makeNewc(newcEntry{name: "a", mode: dir, body: "12345"}, newcEntry{name: "b", mode: dir}),
			[]string{"a 40000 0 0 0:0", "b 40000 0 0 0:0"}},
		{"a name that ends early", makeNewc(newcEntry{name: "a\x00b", mode: dir}), []string{"a 40000 0 0 0:0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := readNewc(tc.archive)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestNewcErrors(t *testing.T) {
	whole := makeNewc(newcEntry{name: "abc", mode: unix.S_IFREG, links: 1, body: strings.Repeat("x", 1000)}, newcEntry{name: "link", mode: unix.S_IFLNK, body: "abc"})
	end := len(whole) - len("TRAILER!!!\x00") - 3 // of its padding
	for n := range end {
		if _, err := readNewc(whole[:n]); err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
			t.Fatalf("an archive of %d bytes cut to %d: %v", len(whole), n, err)
		}
	}
	replaced := func(old, new string) []byte { return bytes.Replace(whole, []byte(old), []byte(new), 1) }
	for _, tc := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"another magic", replaced("070701", "070707"), `"070707" where a header must be`},
		{"no number", replaced("00000004", "0000_004"), `"0000_004" where`},
		{"a name of no length", replaced("0000000400000000abc", "0000000000000000abc"), "a name of 0 bytes"},
		{"a long name", replaced("0000000400000000abc", "0000100100000000abc"), "a name of 4097 bytes"},
		{"a long link", makeNewc(newcEntry{name: "link", mode: unix.S_IFLNK, body: strings.Repeat("x", 4097)}), "a symbolic link of 4097 bytes"},
		{"something behind it", append(bytes.Clone(whole), strings.Repeat("no header", 20)...), `"no hea" where a header must be`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := readNewc(tc.archive); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want an error with %q", err, tc.want)
			}
		})
	}
}

// TestNewcAlive ends when add does.
func TestNewcAlive(t *testing.T) {
	archive := makeNewc(newcEntry{name: "a", mode: unix.S_IFDIR}, newcEntry{name: "b", mode: unix.S_IFDIR})
	n := 0
	err := eachNewc(bufio.NewReader(bytes.NewReader(archive)), func(entry) error {
		n++
		return io.ErrClosedPipe
	})
	if n != 1 || err != io.ErrClosedPipe {
		t.Errorf("%d entries, %v", n, err)
	}
}

func FuzzNewc(f *testing.F) {
	f.Add(makeNewc(newcEntry{name: "a", inode: 5, mode: unix.S_IFREG, links: 2, body: "x"}, newcEntry{name: "b", inode: 5, mode: unix.S_IFREG, links: 2}, newcEntry{name: "l", mode: unix.S_IFLNK, body: "../a"}))
	f.Add(append(makeNewc(newcEntry{name: "a", mode: unix.S_IFDIR}), makeNewc()...))
	f.Fuzz(func(t *testing.T, archive []byte) {
		began := time.Now()
		lines, err := readNewc(archive)
		if err == nil && len(lines)*newcHeader > len(archive) {
			t.Errorf("%d entries in %d bytes", len(lines), len(archive))
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
	})
}
