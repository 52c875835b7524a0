package kernels

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// note is one entry of a PT_NOTE segment.
func note(kind uint32, name, desc string) []byte {
	var b []byte
	for _, v := range []uint32{uint32(len(name)), uint32(len(desc)), kind} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, text := range []string{name, desc} {
		b = append(b, text...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return b
}

func TestHasNote(t *testing.T) {
	build := note(3, "GNU\x00", "20 bytes of build id")
	pvh := note(18, "Xen\x00", "\x00\x00\x20\x00")
	for _, tt := range []struct {
		name string
		in   []byte
		want bool
	}{
		{"nothing", nil, false},
		{"alone", pvh, true},
		{"behind others, one of them not padded", append(append(build, note(257, "Linux\x00", "\x01")...), pvh...), true},
		{"another of Xen's", note(6, "Xen\x00", "linux\x00"), false},
		{"another's of that kind", note(18, "GNU\x00", "1234"), false},
		{"cut in the head", pvh[:10], false},
		{"cut in a description before it", build[:20], false},
		{"a name that is too long", []byte("\xff\xff\xff\xff\x04\x00\x00\x00\x12\x00\x00\x00Xen\x00"), false},
	} {
		if got := hasNote(bytes.NewReader(tt.in), binary.LittleEndian, "Xen\x00", 18); got != tt.want {
			t.Errorf("%s: hasNote = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// pvhELF is a 32-bit ELF file of which nothing is there but a note segment.
func pvhELF(notes []byte) []byte {
	const head, program = 52, 32
	b := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	put := func(v any) { b, _ = binary.Append(b, binary.LittleEndian, v) }
	put([]uint16{2, 3}) // ET_EXEC, EM_386
	put([]uint32{1, 0, head, 0, 0})
	put([]uint16{head, program, 1, 40, 0, 0})
	put([]uint32{4, head + program, 0, 0, uint32(len(notes)), uint32(len(notes)), 4, 4}) // PT_NOTE
	return append(b, notes...)
}

func TestDirect(t *testing.T) {
	dir := t.TempDir()
	const release = "6.12.0-rambox-tiny"
	with, without := pvhELF(note(18, "Xen\x00", "1234")), pvhELF(note(6, "Xen\x00", "1234"))
	for _, tt := range []struct {
		name, file, release, origin string
		beside                      []byte // the vmlinux
		want                        string
	}{
		{"one with PVH", "vmlinuz-" + release, release, OriginCache, with, "vmlinux-" + release},
		{"one without", "vmlinuz-" + release, release, OriginCache, without, "vmlinuz-" + release},
		{"no ELF", "vmlinuz-" + release, release, OriginCache, []byte("x"), "vmlinuz-" + release},
		{"none", "vmlinuz-" + release, release, OriginCache, nil, "vmlinuz-" + release},
		{"named by its path", "vmlinuz-" + release, release, OriginFile, with, "vmlinuz-" + release},
		{"somebody else's", "vmlinuz-6.1.0-cloud", "6.1.0-cloud", OriginCache, with, "vmlinuz-6.1.0-cloud"},
		{"itself", "vmlinux-" + release, release, OriginCache, with, "vmlinux-" + release},
	} {
		t.Run(tt.name, func(t *testing.T) {
			beside := filepath.Join(dir, "vmlinux-"+tt.release)
			os.Remove(beside)
			if tt.beside != nil {
				writeFiles(t, dir, map[string]string{"vmlinux-" + tt.release: string(tt.beside)})
			}
			k := Kernel{Release: tt.release, Path: filepath.Join(dir, tt.file), Origin: tt.origin}
			if got := filepath.Base(k.Direct().Path); got != tt.want {
				t.Errorf("Direct of %+v is %s, want %s", k, got, tt.want)
			}
		})
	}
}

func TestFindBuilt(t *testing.T) {
	all := []Kernel{
		{Release: "6.12.9-rambox-run", Arch: "arm64", Origin: OriginCache},
		{Release: "6.12.8-rambox-run", Path: "newest", Arch: "amd64", Origin: OriginCache},
		{Release: "6.12.7-rambox-run", Path: "older", Arch: "amd64", Origin: OriginCache},
		{Release: "6.12.9-run", Arch: "386", Origin: OriginCache},
		{Release: "6.12.9-rambox-micro", Arch: "386", Origin: OriginBoot},
	}
	for _, tt := range []struct {
		profile, arch, want string
		ok                  bool
	}{
		{"run", "amd64", "newest", true},
		{"run", "386", "", false},
		{"micro", "386", "", false},
		{"tiny", "amd64", "", false},
	} {
		if k, ok := findBuilt(all, tt.profile, tt.arch); ok != tt.ok || k.Path != tt.want {
			t.Errorf("findBuilt(%s, %s) = %+v, %v, want %q, %v", tt.profile, tt.arch, k, ok, tt.want, tt.ok)
		}
	}
}
