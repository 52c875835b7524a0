//go:build linux

// Package blkid compares rambox/pkg/blkid with the blkid and partx of util-linux, on images that the real programs make.
package blkid

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"rambox/pkg/blkid"
)

// corpus is where images of few sectors are kept, each beside what blkid says about it.
const corpus = "../../pkg/blkid/testdata/probe"

// run runs a program in dir and returns what it says, and its status.
func run(t *testing.T, dir, stdin, name string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	path, err := exec.LookPath(name)
	for _, sbin := range []string{"/usr/sbin", "/sbin"} { // not in the PATH of every user
		if err != nil {
			path, err = exec.LookPath(filepath.Join(sbin, name))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s %q: %v", name, args, err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// must is run for a program that must not fail.
func must(t *testing.T, dir, stdin, name string, args ...string) {
	t.Helper()
	_, stderr, status := run(t, dir, stdin, name, args...)
	if status != 0 {
		t.Fatalf("%s %q: status %d\n%s", name, args, status, stderr)
	}
}

// fields are what blkid prints and a Superblock has, by the names of blkid.
var fields = []string{"TYPE", "USAGE", "VERSION", "UUID", "UUID_SUB", "LABEL", "BLOCK_SIZE"}

// theirs is what blkid says about an image: its fields in lines, or "none" or "ambivalent". It does not look for the types
// in without.
func theirs(t *testing.T, image string, without ...string) string {
	t.Helper()
	args := []string{"-p", "-d", "-o", "export", image}
	if len(without) > 0 {
		args = append(args, "-n", "no"+strings.Join(without, ","))
	}
	out, _, status := run(t, "", "", "blkid", args...)
	switch status {
	case 0, 2:
	case 8:
		return "ambivalent"
	default:
		t.Fatalf("blkid %s: status %d", image, status)
	}
	values := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		values[name] = value
	}
	if values["TYPE"] == "" {
		return "none" // or a partition table
	}
	return format(values)
}

func format(values map[string]string) string {
	var b strings.Builder
	for _, name := range fields {
		if values[name] != "" && values[name] != "0" { // of a block size that makes no sense
			fmt.Fprintf(&b, "%s=%s\n", name, values[name])
		}
	}
	return b.String()
}

// ours is what Probe says, in the form of theirs.
func ours(t *testing.T, r io.ReaderAt, size int64) string {
	t.Helper()
	sb, err := blkid.Probe(r, size)
	var ambiguous *blkid.AmbiguousError
	switch {
	case errors.As(err, &ambiguous):
		return "ambivalent"
	case errors.Is(err, blkid.ErrNone):
		return "none"
	case err != nil:
		t.Fatal(err)
	}
	values := map[string]string{
		"TYPE": sb.Type, "USAGE": string(sb.Usage), "VERSION": sb.Version,
		"UUID": sb.UUID, "UUID_SUB": sb.SubUUID, "LABEL": sb.Label,
	}
	if sb.BlockSize != 0 {
		values["BLOCK_SIZE"] = fmt.Sprint(sb.BlockSize)
	}
	return format(values)
}

// sparse is an image of few sectors of 512 bytes; the others are zero. In a file it is its size in bytes, then the number
// of each sector and its content, numbers as little-endian 64 bits.
type sparse struct {
	size    int64
	sectors map[int64][]byte
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), s.size-off)))
	for i := 0; i < n; i++ {
		at := off + int64(i)
		p[i] = 0
		if sector := s.sectors[at/512]; sector != nil {
			p[i] = sector[at%512]
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// numbers lists the sectors in order.
func (s sparse) numbers() []int64 {
	var numbers []int64
	for n := range s.sectors {
		numbers = append(numbers, n)
	}
	sort.Slice(numbers, func(i, j int) bool { return numbers[i] < numbers[j] })
	return numbers
}

func (s sparse) clone() sparse {
	c := sparse{size: s.size, sectors: map[int64][]byte{}}
	for n, sector := range s.sectors {
		c.sectors[n] = bytes.Clone(sector)
	}
	return c
}

// write makes an image file of s.
func (s sparse) write(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(s.size); err != nil {
		t.Fatal(err)
	}
	for n, sector := range s.sectors {
		if _, err := f.WriteAt(sector[:min(512, s.size-n*512)], n*512); err != nil {
			t.Fatal(err)
		}
	}
}

func (s sparse) marshal() []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(s.size))
	for _, n := range s.numbers() {
		b = append(binary.LittleEndian.AppendUint64(b, uint64(n)), s.sectors[n]...)
	}
	return b
}

// readCorpus returns the images of the corpus by name.
func readCorpus(t *testing.T) map[string]sparse {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(corpus, "*.sectors"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus in %s (%v)", corpus, err)
	}
	images := map[string]sparse{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := sparse{size: int64(binary.LittleEndian.Uint64(b)), sectors: map[int64][]byte{}}
		for b = b[8:]; len(b) >= 520; b = b[520:] {
			s.sectors[int64(binary.LittleEndian.Uint64(b))] = b[8:520]
		}
		images[strings.TrimSuffix(filepath.Base(path), ".sectors")] = s
	}
	return images
}
