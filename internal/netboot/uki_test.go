package netboot

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testProgram is a program for UEFI with one section, which is text: good enough for a
// stub and for a kernel that has one.
func testProgram(t testing.TB, machine uint16, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write(append([]byte("MZ"), make([]byte, 58)...))
	b.Write([]byte{64, 0, 0, 0, 'P', 'E', 0, 0})
	header := pe.OptionalHeader64{
		Magic: 0x20b, SectionAlignment: 4096, FileAlignment: 512, SizeOfHeaders: 1024, SizeOfImage: 8192,
		Subsystem: pe.IMAGE_SUBSYSTEM_EFI_APPLICATION, NumberOfRvaAndSizes: 16,
	}
	size := uint32(len(text)+511) &^ 511
	section := pe.SectionHeader32{Name: [8]uint8{'.', 't', 'e', 'x', 't'}, VirtualAddress: 4096, VirtualSize: size, SizeOfRawData: size, PointerToRawData: 1024}
	for _, part := range []any{pe.FileHeader{Machine: machine, NumberOfSections: 1, SizeOfOptionalHeader: uint16(binary.Size(header))}, header, section} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	b.Write(make([]byte, 1024-b.Len()))
	return append(append(b.Bytes(), text...), make([]byte, int(size)-len(text))...)
}

const testUKIs = "/uki/mac=52:54:00:00:00:0%d,uuid=67452301-ab89-efcd-0123-456789abcdef,arch=arm64.efi"

// digitBook has nodes by the last digit of their hardware address.
type digitBook map[byte]Node

func (b digitBook) Lookup(c Client) (Node, bool) {
	n, ok := b[c.MAC[5]]
	return n, ok
}

func (digitBook) Reserved(netip.Addr) bool { return false }

// newUKIs is a shelf with two nodes that get unified kernel images, and the
// directory of their files.
func newUKIs(t *testing.T) (*Shelf, *httptest.Server, string) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"kernel": testProgram(t, 0xaa64, "the kernel"), "x64": testProgram(t, 0x8664, "x"), "gzip": append([]byte("\x1f\x8b"), make([]byte, 100)...), "image": []byte("the image"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	node := func(name, kernel, image string) Node {
		n := Node{Hostname: name, Kernel: filepath.Join(dir, kernel), Append: "quiet name=${hostname} uuid=${uuid} ip=${ip}"}
		if image != "" {
			n.Image = filepath.Join(dir, image)
		}
		return n
	}
	book := digitBook{
		1: node("n1", "kernel", "image"), 2: node("n2", "kernel", "image"), 3: {Hostname: "n3", Refused: true}, 4: node("n4", "x64", "image"), 5: node("n5", "kernel", ""),
		6: node("n6", "gzip", "image"), 7: node("n7", "kernel", "none"), 8: {Hostname: "n8"},
	}
	shelf, digests := &Shelf{}, &Digests{}
	for _, n := range book {
		shelf.Shelve(n)
	}
	generator := &Generator{Book: book, Load: Loader{Shelf: shelf, Digests: digests}.Load}
	shelf.Program = (&UKIs{Generator: generator, Shelf: shelf, Stubs: map[string][]byte{"arm64": testProgram(t, 0xaa64, "the stub")}}).Make
	s := httptest.NewServer(&FileHandler{Open: shelf.Open, Digests: digests})
	t.Cleanup(s.Close)
	return shelf, s, dir
}

// ask sends a request and returns what comes back.
func ask(t *testing.T, method, url string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

// TestUKIs asks for an image as firmware does, and in pieces.
func TestUKIs(t *testing.T) {
	_, s, dir := newUKIs(t)
	url := s.URL + fmt.Sprintf(testUKIs, 1)
	head, _ := ask(t, "HEAD", url)
	answer, image := ask(t, "GET", url)
	if head.ContentLength != int64(len(image)) || answer.Header.Get("Content-Type") != "application/efi" || answer.Header.Get("Repr-Digest") != "" {
		t.Errorf("HEAD says %d bytes, GET sends %d, with %v", head.ContentLength, len(image), answer.Header)
	}
	program, err := pe.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, section := range program.Sections {
		b, err := section.Data()
		if err != nil {
			t.Fatal(err)
		}
		got[section.Name] = string(b[:min(int(section.VirtualSize), len(b))])
	}
	want := map[string]string{
		".text":    "the stub" + strings.Repeat("\x00", 504),
		".osrel":   "ID=rambox\nNAME=Rambox\n",
		".cmdline": "BOOTIF=01-52-54-00-00-00-01 quiet name=n1 uuid=01234567-89ab-cdef-0123-456789abcdef ip=127.0.0.1",
		".initrd":  "the image",
		".linux":   string(testProgram(t, 0xaa64, "the kernel")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	etag := answer.Header.Get("ETag")
	if part, b := ask(t, "GET", url, "Range", "bytes=1000-3000", "If-Range", etag); part.StatusCode != http.StatusPartialContent || !bytes.Equal(b, image[1000:3001]) {
		t.Errorf("a range: %s, %d bytes, or others", part.Status, len(b))
	}
	if again, _ := ask(t, "GET", url, "If-None-Match", etag); again.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: %s", again.Status)
	}
	if other, _ := ask(t, "GET", s.URL+fmt.Sprintf(testUKIs, 2)); other.Header.Get("ETag") == etag {
		t.Error("another node's has the same ETag")
	}
	if err := os.WriteFile(filepath.Join(dir, "image"), []byte("an image!"), 0o644); err != nil {
		t.Fatal(err)
	}
	if part, b := ask(t, "GET", url, "Range", "bytes=1000-3000", "If-Range", etag); part.StatusCode != http.StatusOK || len(b) != len(image) {
		t.Errorf("a range of an image that has changed since: %s, %d bytes", part.Status, len(b))
	}
}

// TestUKIErrors: a machine for which there is none is told so, and the log why.
func TestUKIErrors(t *testing.T) {
	shelf, _, _ := newUKIs(t)
	for _, tc := range []struct {
		name, file, want string
		is               error
	}{
		{"without an image", fmt.Sprintf(testUKIs, 5), "", nil},
		{"refused", fmt.Sprintf(testUKIs, 3), "node n3: is refused", fs.ErrPermission},
		{"unknown", fmt.Sprintf(testUKIs, 9), "node 52:54:00:00:00:09: not in the configuration", fs.ErrNotExist},
		{"a kernel for others", fmt.Sprintf(testUKIs, 4), "node n4: kernel rambox/", nil},
		{"a compressed kernel", fmt.Sprintf(testUKIs, 6), "gunzip", nil},
		{"an image that is gone", fmt.Sprintf(testUKIs, 7), "no such file", fs.ErrNotExist},
		{"no kernel", fmt.Sprintf(testUKIs, 8), "node n8: no kernel", nil},
		{"an architecture without a stub", "uki/mac=52:54:00:00:00:01,arch=x64.efi", "file does not exist", fs.ErrNotExist},
		{"no hardware address", "uki/mac=,arch=arm64.efi", "file does not exist", fs.ErrNotExist},
		{"no program", "uki/mac=52:54:00:00:00:01,arch=arm64", "file does not exist", fs.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := shelf.Open(tc.file, netip.MustParseAddr("10.0.0.7"))
			if err == nil {
				c.Close()
			}
			if (tc.want == "") != (err == nil) || !strings.Contains(errorText(err), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("Open(%q): %v, want %q (%v)", tc.file, err, tc.want, tc.is)
			}
		})
	}
}

// TestFirmware: what each architecture loads first, by what there is.
func TestFirmware(t *testing.T) {
	stub := testProgram(t, 0xaa64, "stub")
	file := filepath.Join(t.TempDir(), "my.efi.stub")
	if err := os.WriteFile(file, stub, 0o644); err != nil {
		t.Fatal(err)
	}
	const dir = "usr/lib/systemd/boot/efi/"
	ipxe := map[string][]byte{"usr/lib/ipxe/undionly.kpxe": nil, "usr/lib/ipxe/ipxe.efi": nil}
	stubs := map[string][]byte{dir + "linuxaa64.efi.stub": stub, dir + "linuxx64.efi.stub": testProgram(t, 0x8664, "stub")}
	for _, tc := range []struct {
		name    string
		files   []map[string][]byte
		named   map[string]string
		known   map[string][]byte
		want    string // by architecture, what TFTP gives
		missing string
		fault   string
	}{
		{"Debian 12", []map[string][]byte{ipxe, stubs}, nil, nil, "bios=undionly.kpxe x64=ipxe.efi arm64=uki", "ipxe-arm64.efi: install Debian's package ipxe (the one of this release may have none for it: then give a file); machines get unified kernel images instead", ""},
		{"without iPXE", []map[string][]byte{stubs}, nil, nil, "x64=uki arm64=uki", "undionly.kpxe", ""},
		{"without stubs", []map[string][]byte{ipxe}, nil, nil, "bios=undionly.kpxe x64=ipxe.efi", "unified kernel images for arm64: no linuxaa64.efi.stub", ""},
		{"nothing", nil, nil, nil, "", "undionly.kpxe", ""},
		{"stubs that can be read no more", []map[string][]byte{ipxe}, nil, map[string][]byte{"arm64": stub}, "bios=undionly.kpxe x64=ipxe.efi arm64=uki", "", ""},
		{"wanted where there is iPXE", []map[string][]byte{ipxe, stubs}, map[string]string{"x64": "uki", "arm64": "uki"}, nil, "bios=undionly.kpxe x64=uki arm64=uki", "", ""},
		{"a stub by name", []map[string][]byte{ipxe}, map[string]string{"arm64": file}, nil, "bios=undionly.kpxe x64=ipxe.efi arm64=uki", "", ""},
		{"a stub for others", []map[string][]byte{ipxe}, map[string]string{"x64": file}, nil, "", "", "program.x64: unified kernel images for x64: the stub is for the machine 0xaa64, the kernel for 0x8664"},
		{"wanted and not there", nil, map[string]string{"arm64": "uki"}, nil, "", "", "program.arm64: unified kernel images for arm64: no linuxaa64.efi.stub"},
		{"for BIOS", nil, map[string]string{"bios": "uki"}, nil, "", "", "program.bios: unified kernel images for bios: there are none: give another program"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			for _, files := range tc.files {
				for name, b := range files {
					if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(root, name), b, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			f, err := findFirmware(root, &Config{HTTPPort: 80, Programs: tc.named}, tc.known)
			if err != nil || tc.fault != "" {
				if !strings.Contains(errorText(err), tc.fault) || tc.fault == "" {
					t.Errorf("findFirmware: %v, want %q", err, tc.fault)
				}
				return
			}
			var got []string
			for _, cpu := range configCPUs() {
				byTFTP, byHTTP := firmwareArches(cpu)
				name := f.boot.Programs[byTFTP[0]]
				for _, a := range byHTTP {
					if name != "" && f.boot.HTTPPrograms[a] != "http://${server}:80/"+name {
						t.Errorf("%s: %q by HTTP, %q by TFTP", a, f.boot.HTTPPrograms[a], name)
					}
				}
				switch {
				case name == UKIName && f.stubs[cpu] == nil:
					t.Errorf("%s: no stub", cpu)
				case name == UKIName:
					got = append(got, cpu+"=uki")
				case name != "":
					got = append(got, cpu+"="+name)
				}
			}
			if strings.Join(got, " ") != tc.want || !strings.Contains(fmt.Sprint(f.missing), tc.missing) {
				t.Errorf("%s, lacking %v; want %s, lacking %q", got, f.missing, tc.want, tc.missing)
			}
		})
	}
}

// TestUKIWord: the word of the configuration is not a file's name, and the name of
// a stub is.
func TestUKIWord(t *testing.T) {
	c, err := ParseConfig("f", "/etc/rambox", []byte(configHead+"[program]\nx64 = \"uki\"\narm64 = \"my.efi.stub\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"x64": "uki", "arm64": "/etc/rambox/my.efi.stub"}, c.Programs); diff != "" {
		t.Error(diff)
	}
}
