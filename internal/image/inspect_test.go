package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, data []byte) *Image {
	t.Helper()
	im, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// byHand packs a directory as anybody would.
func byHand(t testing.TB, dir string) []byte {
	t.Helper()
	return []byte(command(t, dir, nil, "sh", "-c", "find . | LC_ALL=C sort | cpio --quiet -o -H newc"))
}

func TestReadAgainstCpio(t *testing.T) {
	dir := hostTree(t)
	if os.Getuid() == 0 {
		command(t, dir, nil, "mknod", "node", "b", "8", "17")
	}
	command(t, dir, nil, "mkfifo", "fifo")
	packed := byHand(t, dir)
	im := read(t, packed)
	var got strings.Builder
	for _, e := range im.Archives[0].Entries {
		fmt.Fprintln(&got, e)
	}
	want := command(t, "", packed, "cpio", "-tv", "--quiet", "--numeric-uid-gid")
	// Of hard links one carries the content; cpio gives the others the size 0,
	// we all that of the file.
	want = strings.Replace(want, "0 "+when(t, want, "bin/same"), "8 "+when(t, want, "bin/same"), 1)
	if diff := cmp.Diff(withoutTimes(want), withoutTimes(got.String())); diff != "" {
		t.Error(diff)
	}
	tree := im.Tree()
	for _, name := range []string{"bin/tool", "bin/same"} {
		if got := text(t, tree, name); got != "bin/tool" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}

// when returns the end of the line of name: its time and the name.
func when(t *testing.T, listing, name string) string {
	t.Helper()
	for line := range strings.Lines(listing) {
		if strings.HasSuffix(line, " "+name+"\n") {
			words := strings.Fields(line)
			return line[strings.Index(line, " "+words[5]+" ")+1:]
		}
	}
	t.Fatalf("no %s in the listing", name)
	return ""
}

// withoutTimes cuts the three words of the time out of each line.
func withoutTimes(listing string) [][]string {
	var lines [][]string
	for _, line := range fields(listing) {
		words := strings.Fields(line)
		at := 5
		if strings.HasSuffix(words[4], ",") { // major, minor
			at = 6
		}
		lines = append(lines, append(words[:at:at], words[at+3:]...))
	}
	return lines
}

func TestReadManyArchives(t *testing.T) {
	early := NewTree(time.Time{})
	if err := early.Add(AddFile("kernel/x86/microcode/AuthenticAMD.bin", 0o644, []byte("early"))); err != nil {
		t.Fatal(err)
	}
	first := write(t, early, None)
	main := sampleTree(t, hostTree(t))
	tools := map[Compression][]string{Bzip2: {"bzip2", "-c"}, LZMA: {"xz", "--format=lzma", "-c"}}
	for _, c := range append(Compressions(), Bzip2, LZMA) {
		t.Run(string(c), func(t *testing.T) {
			var packed []byte
			if tool := tools[c]; tool != nil {
				packed = []byte(command(t, "", write(t, main, None), tool[0], tool[1:]...))
			} else {
				packed = write(t, main, c)
			}
			data := append(append(bytes.Clone(first), make([]byte, 1024)...), packed...)
			at := int64(len(first)) + 1024
			over, err := Overlay(int64(len(data)), Settings{Nonce: "n", Payload: []string{"/bin/sh", "-c", ""}})
			if err != nil {
				t.Fatal(err)
			}
			im := read(t, append(data, over...))
			type place struct {
				Offset int64
				C      Compression
				First  string
			}
			var got []place
			for _, a := range im.Archives {
				got = append(got, place{a.Offset, a.Compression, a.Entries[len(a.Entries)-1].Path})
			}
			last := (int64(len(data))/512 + 1) * 512
			if int(last)-len(data) < 4 {
				last += 512
			}
			want := []place{
				{0, None, "kernel/x86/microcode/AuthenticAMD.bin"},
				{at, c, "var/big"},
				{last, None, "etc/rambox/payload"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
			if im.Archives[1].Size != int64(len(packed)) {
				t.Errorf("size %d, want %d", im.Archives[1].Size, len(packed))
			}
			tree := im.Tree()
			for name, want := range map[string]string{
				"kernel/x86/microcode/AuthenticAMD.bin": "early",
				"etc/motd":                              "welcome\n",
				"srv/sbin/tool":                         "bin/tool",
				"etc/rambox/payload":                    "/bin/sh\x00-c\x00\x00",
				"etc/empty":                             "",
			} {
				if got := text(t, tree, name); got != want {
					t.Errorf("%s holds %q, want %q", name, got, want)
				}
			}
			r, err := im.Open("/var/big")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if big, err := io.ReadAll(r); err != nil || string(big) != text(t, main, "var/big") {
				t.Errorf("a file of %d bytes is read as %d, %v", 2*maxKeptFile, len(big), err)
			}
			if _, err := fs.Stat(im.Files(), "etc/rambox/nonce"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReadSeveralInOneStream(t *testing.T) {
	archive := write(t, sampleTree(t, hostTree(t)), None)
	archive = append(archive, make([]byte, -len(archive)&3+512)...)
	packed := []byte(command(t, "", append(archive, archive...), "zstd", "-c"))
	im := read(t, packed)
	if n, want := len(im.Archives[0].Entries), 2*len(sampleTree(t, hostTree(t)).entries); n != want {
		t.Errorf("%d entries, want %d", n, want)
	}
}

// record makes one newc record.
func record(name string, mode uint32, body string) []byte {
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		1, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name)+1, 0, name)
	out := append([]byte(head), make([]byte, -len(head)&3)...)
	out = append(out, body...)
	return append(out, make([]byte, -len(body)&3)...)
}

func TestImageTreeIsWhatTheKernelMakes(t *testing.T) {
	var data []byte
	for _, r := range [][]byte{
		record("lost/file", 0o100644, "no directory above"),
		record("dev/console", 0o20600, ""),
		record("./etc/", 0o40755, ""),
		record("/etc/twice", 0o100644, "first"),
		record("etc/twice", 0o100644, "second"),
		record("full", 0o40755, ""),
		record("full/x", 0o100644, "x"),
		record("full", 0o100644, "cannot replace it"),
		record("void", 0o40755, ""),
		record("void", 0o120777, "etc"),
		record("void/through", 0o100644, "a link"),
		record("../up", 0o100644, "rooted"),
		record(".", 0o40700, ""),
		record("TRAILER!!!", 0, ""),
	} {
		data = append(data, r...)
	}
	tree := read(t, data).Tree()
	want := []string{"dev/", "dev/console", "etc/", "etc/through", "etc/twice", "full/", "full/x", "up", "void -> etc"}
	if diff := cmp.Diff(want, names(tree)); diff != "" {
		t.Error(diff)
	}
	if got := text(t, tree, "etc/twice"); got != "second" {
		t.Errorf("etc/twice holds %q, want the later", got)
	}
}

func TestReadFaults(t *testing.T) {
	whole := write(t, sampleTree(t, hostTree(t)), None)
	xz := write(t, sampleTree(t, hostTree(t)), XZ)
	zstd := write(t, sampleTree(t, hostTree(t)), Zstd)
	edit := func(data []byte, at int, with ...byte) []byte {
		data = bytes.Clone(data)
		copy(data[at:], with)
		return data
	}
	long := make([]byte, 4)
	binary.LittleEndian.PutUint32(long, 9<<20)
	for _, test := range []struct {
		name string
		data []byte
		err  string
	}{
		{"cut in a header", whole[:50], "record at 0: unexpected EOF"},
		{"cut in a name", whole[:112], "unexpected EOF"},
		{"cut in a body", whole[:len(whole)-300], "unexpected EOF"},
		{"no digits", edit(whole, 6, 'x'), "want 8 hexadecimal digits"},
		{"old format", []byte("070707" + strings.Repeat("0", 200)), "cpio -H newc"},
		{"other magic", []byte("070799" + strings.Repeat("0", 200)), "magic"},
		{"no name", edit(whole, 6+11*8, []byte("00000000")...), "name of 0 bytes"},
		{"a name of 4 GiB", edit(whole, 6+11*8, []byte("FFFFFFFF")...), "name of 4294967295 bytes"},
		{"a body of 4 GiB", edit(record("x", 0o100644, "x"), 6+6*8, []byte("FFFFFFFF")...), "unexpected EOF"},
		{"a link to nothing", record("x", 0o120777, ""), "link target of 0 bytes"},
		{"not aligned", append([]byte{0, 0}, whole...), "multiples of 4"},
		{"text", []byte("Hello, world"), "neither newc nor a compression"},
		{"lzo", []byte("\x89LZO\x00\r\n\x1a\n"), "packed with lzo, which rambox cannot read"},
		{"lz4's modern frame", []byte("\x04\x22\x4d\x18...."), "neither newc nor"},
		{"a huge lz4 block", append([]byte("\x02\x21\x4c\x18"), long...), "lz4 block"},
		{"lz4 cut", []byte("\x02\x21\x4c\x18\x08\x00\x00\x00abc"), "unexpected EOF"},
		{"zstd cut", zstd[:len(zstd)/2], "unexpected EOF"},
		{"zstd garbled", edit(zstd, len(zstd)/2, 1, 2, 3, 4, 5, 6, 7), ""},
		{"xz cut", xz[:len(xz)/2], "unexpected EOF"},
		{"an xz dictionary of 4 GiB", edit(xz, 12+4, 40), "xz dictionary"},
		{"an xz filter", edit(xz, 12+2, 4), "a filter other than LZMA2"},
		{"gzip cut", write(t, sampleTree(t, hostTree(t)), Gzip)[:200], "unexpected EOF"},
		{"junk in a stream", []byte(command(t, "", []byte("junk"), "gzip", "-c")), "want newc or zeros"},
	} {
		t.Run(test.name, func(t *testing.T) {
			im, err := Read(bytes.NewReader(test.data), int64(len(test.data)))
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("Read: %v, want %q", err, test.err)
			}
			if im == nil {
				t.Error("no image with the error")
			}
		})
	}
}

func TestReadNothing(t *testing.T) {
	for _, data := range [][]byte{nil, make([]byte, 100<<10)} {
		if im := read(t, data); len(im.Archives) != 0 {
			t.Errorf("%d archives in %d zeros", len(im.Archives), len(data))
		}
	}
}

func TestTooManyEntries(t *testing.T) {
	l := limits{entries: maxEntries}
	if err := l.count(Entry{}); err == nil {
		t.Error("no error above the limit")
	}
	l = limits{nameBytes: maxNameBytes}
	if err := l.count(Entry{Path: "x"}); err == nil {
		t.Error("no error above the limit")
	}
}

func TestList(t *testing.T) {
	tree := NewTree(time.Time{})
	if err := tree.Add(AddLink("bin/sh", "busybox")); err != nil {
		t.Fatal(err)
	}
	data := write(t, tree, None)
	var got strings.Builder
	if err := read(t, data).List(&got); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`archive 1: at 0, %d bytes, none, %d unpacked, 2 entries
drwxr-xr-x   2 0        0               0 Jan  1  1970 bin
lrwxrwxrwx   1 0        0               7 Jan  1  1970 bin/sh -> busybox
`, len(data), len(data))
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestOverlayPadding(t *testing.T) {
	for _, size := range []int64{0, 1, 507, 508, 509, 511, 512, 513} {
		out, err := Overlay(size, Settings{Locked: true})
		if err != nil {
			t.Fatal(err)
		}
		pad := int64(bytes.IndexByte(out, '0'))
		if (size+pad)%512 != 0 || pad < 4 {
			t.Errorf("after %d bytes: %d of padding", size, pad)
		}
	}
	if _, err := Overlay(0, Settings{Payload: []string{"a\x00b"}}); err == nil {
		t.Error("a NUL byte in a word gives no error")
	}
}

// An image on a disk that fails is an error, not a short list.
func TestReadErrors(t *testing.T) {
	data := write(t, sampleTree(t, hostTree(t)), Gzip)
	fault := errors.New("bad sector")
	if _, err := Read(failing{bytes.NewReader(data), 100, fault}, int64(len(data))); !errors.Is(err, fault) {
		t.Errorf("Read: %v, want %v", err, fault)
	}
}

type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.from {
		n := max(f.from-off, 0)
		n2, _ := f.ReaderAt.ReadAt(p[:n], off)
		return n2, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

// ExampleOverlay is what rambox run does with an image of the user's.
func ExampleOverlay() {
	tree := NewTree(time.Time{})
	var image bytes.Buffer
	if _, err := tree.Write(&image, Gzip); err != nil {
		fmt.Println(err)
		return
	}
	more, err := Overlay(int64(image.Len()), Settings{Payload: []string{"/bin/true"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	image.Write(more)
	both, err := Read(bytes.NewReader(image.Bytes()), int64(image.Len()))
	for _, a := range both.Archives {
		fmt.Println(a.Offset, a.Compression, len(a.Entries))
	}
	fmt.Println(err)
	// Output:
	// 0 gzip 0
	// 512 none 3
	// <nil>
}
