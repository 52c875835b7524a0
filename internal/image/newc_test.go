package image

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestModes(t *testing.T) {
	for _, test := range []struct {
		unix uint32
		text string
	}{
		{0o100644, "-rw-r--r--"}, {0o40755, "drwxr-xr-x"}, {0o41777, "drwxrwxrwt"}, {0o120777, "lrwxrwxrwx"},
		{0o20600, "crw-------"}, {0o60660, "brw-rw----"}, {0o10644, "prw-r--r--"}, {0o140755, "srwxr-xr-x"},
		{0o104755, "-rwsr-xr-x"}, {0o102745, "-rwxr-Sr-x"}, {0o41770, "drwxrwx--T"},
	} {
		mode := goMode(test.unix)
		if got := unixMode(mode); got != test.unix {
			t.Errorf("unixMode(goMode(%o)) = %o", test.unix, got)
		}
		if got := modeString(mode); got != test.text {
			t.Errorf("%o is %s, want %s", test.unix, got, test.text)
		}
	}
	if got := goMode(0); got&fs.ModeIrregular == 0 {
		t.Errorf("goMode(0) = %v, want it irregular", got)
	}
}

// sampleTree has one entry of each kind.
func sampleTree(t *testing.T, host string) *Tree {
	t.Helper()
	tree := NewTree(time.Unix(1700000000, 0))
	for _, a := range []Add{
		{Host: host, Entry: Entry{Path: "srv"}},
		AddFile("etc/motd", 0o644, []byte("welcome\n")),
		AddFile("etc/empty", 0o600, nil),
		AddFile("var/big", 0o644, bytes.Repeat([]byte("0123456789abcdef"), 2*maxKeptFile/16)),
		AddDir("tmp", 0o777|fs.ModeSticky),
		AddLink("bin/sh", "busybox"),
		AddNode("dev/console", fs.ModeDevice|fs.ModeCharDevice|0o600, 5, 1),
		AddNode("dev/vda", fs.ModeDevice|0o660, 254, 0),
		AddNode("run/fifo", fs.ModeNamedPipe|0o600, 0, 0),
		AddNode("run/socket", fs.ModeSocket|0o600, 0, 0),
	} {
		if err := tree.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func write(t testing.TB, tree *Tree, c Compression) []byte {
	t.Helper()
	var out bytes.Buffer
	sizes, err := tree.Write(&out, c)
	if err != nil {
		t.Fatal(err)
	}
	if sizes.Stored != int64(out.Len()) {
		t.Errorf("%s: Write reports %d bytes, made %d", c, sizes.Stored, out.Len())
	}
	if c == None && sizes.Raw != sizes.Stored {
		t.Errorf("Write reports %d raw bytes, made %d", sizes.Raw, sizes.Stored)
	}
	return out.Bytes()
}

func command(t testing.TB, dir string, stdin []byte, name string, arg ...string) string {
	t.Helper()
	cmd := exec.Command(name, arg...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	return string(out)
}

// GNU cpio is the judge of what we write.
func TestWriteAgainstCpio(t *testing.T) {
	tree := sampleTree(t, hostTree(t))
	got := command(t, "", write(t, tree, None), "cpio", "-tv", "--quiet", "--numeric-uid-gid")
	var want strings.Builder
	for _, e := range tree.Entries() {
		e.Links = 1
		if e.Mode.IsDir() {
			e.Links = 2
		}
		fmt.Fprintln(&want, e)
	}
	if diff := cmp.Diff(fields(want.String()), fields(got)); diff != "" {
		t.Error(diff)
	}
}

// fields makes listings comparable that differ in blanks alone.
func fields(listing string) []string {
	var lines []string
	for line := range strings.Lines(listing) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func TestUnpackedByCpio(t *testing.T) {
	host := hostTree(t)
	dir := t.TempDir()
	tree := NewTree(time.Time{})
	if err := tree.Add(Add{Host: host, Entry: Entry{Path: "srv"}}); err != nil {
		t.Fatal(err)
	}
	command(t, dir, write(t, tree, None), "cpio", "-id", "--quiet", "--no-preserve-owner")
	command(t, "", nil, "diff", "-r", "--no-dereference", host, filepath.Join(dir, "srv"))
}

func TestTimes(t *testing.T) {
	for _, test := range []struct {
		in   string
		want int64
		err  string
	}{
		{"", 0, ""}, {"0", 0, ""}, {"1700000000", 1700000000, ""}, {"4294967295", 1<<32 - 1, ""},
		{"4294967296", 0, "SOURCE_DATE_EPOCH"}, {"-1", 0, "SOURCE_DATE_EPOCH"}, {"today", 0, "SOURCE_DATE_EPOCH"},
	} {
		got, err := ParseEpoch(test.in)
		if !matches(err, test.err) || err == nil && got.Unix() != test.want {
			t.Errorf("ParseEpoch(%q) = %v, %v", test.in, got, err)
		}
	}
	if _, err := NewTree(time.Unix(-1, 0)).Write(new(countingWriter), None); !matches(err, "1970 to 2106") {
		t.Errorf("Write of 1969: %v", err)
	}
}

// copyTree makes another directory with the same files, later.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "elsewhere")
	command(t, "", nil, "cp", "-R", "-P", "--preserve=mode", from, to)
	later := time.Now().Add(1000 * time.Hour)
	if err := os.Chtimes(filepath.Join(to, "bin/tool"), later, later); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestReproducible(t *testing.T) {
	host := hostTree(t)
	other := copyTree(t, host)
	for _, c := range Compressions() {
		want := write(t, sampleTree(t, host), c)
		for _, procs := range []int{1, 2, 5} {
			before := runtime.GOMAXPROCS(procs)
			got := write(t, sampleTree(t, other), c)
			runtime.GOMAXPROCS(before)
			if !bytes.Equal(got, want) {
				t.Errorf("%s with %d processors, from another directory on another day: other bytes", c, procs)
			}
		}
	}
}
