package kernels

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/kernel"
)

func TestNewBuildErrors(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"m": "CONFIG_EXT4_FS=m\n", "modules": "\nCONFIG_MODULES=y\n", "bad": "EXT4=y\n"})
	tests := []struct {
		name    string
		options BuildOptions
		err     string
	}{
		{"no such profile", BuildOptions{Profile: "fast", Arch: "amd64"}, `profile "fast": want iso, micro, node, run, tiny`},
		{"no such architecture", BuildOptions{Profile: "run", Arch: "x86_64"}, `architecture "x86_64": kernels are built for amd64, 386, arm64`},
		{"a profile for others", BuildOptions{Profile: "tiny", Arch: "arm64"}, "profile tiny: it is for amd64, 386, not for arm64"},
		{"no such fragment", BuildOptions{Profile: "tiny", Arch: "386", Fragments: []string{dir + "/x"}}, "read fragment"},
		{"no fragment", BuildOptions{Profile: "tiny", Arch: "386", Fragments: []string{dir + "/bad"}}, "/bad:1"},
		{"a module", BuildOptions{Profile: "tiny", Arch: "386", Fragments: []string{dir + "/m"}}, "/m:1: CONFIG_EXT4_FS=m: kernels are built here without modules"},
		{"modules", BuildOptions{Profile: "tiny", Arch: "386", Fragments: []string{dir + "/modules"}}, "/modules:2: CONFIG_MODULES=y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := newBuild(tt.options); !matches(err, tt.err) {
				t.Errorf("newBuild(%+v) error = %v, want %q", tt.options, err, tt.err)
			}
		})
	}
}

func TestBuildSettings(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.config")
	writeFiles(t, filepath.Dir(own), map[string]string{"own.config": "CONFIG_LOG_BUF_SHIFT=20\nCONFIG_ZRAM=y\n"})
	b, err := newBuild(BuildOptions{Profile: "tiny", Arch: "amd64", Fragments: []string{own}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(formatSettings(b.settings))
	for _, line := range []string{`CONFIG_LOCALVERSION="-rambox-tiny"`, "CONFIG_LOG_BUF_SHIFT=20", "CONFIG_ZRAM=y", "CONFIG_64BIT=y", "CONFIG_FUTEX=y"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the settings have no line %s", line)
		}
	}
	if b.jobs != runtime.NumCPU() {
		t.Errorf("jobs = %d, want one for each processor", b.jobs)
	}
}

// fakeMakefile stands for a kernel's: it takes every setting but DROPPED, and
// counts its builds.
const fakeMakefile = `
.PHONY: allnoconfig bzImage
allnoconfig:
	mkdir -p $(O)/include/config $(O)/arch/x86/boot
	grep -v DROPPED $(KCONFIG_ALLCONFIG) >$(O)/.config
	echo 6.12.0-rambox-tiny >$(O)/include/config/kernel.release
bzImage:
	echo built >>$(O)/count
	@echo '  CC      init/main.o'
	grep -q BROKEN $(O)/.config && { echo main.c:1: error: broken; exit 1; } || true
	cp bzImage $(O)/arch/x86/boot/bzImage
	cp vmlinux $(O)/vmlinux
`

// fakeSource makes a directory that Build takes for a kernel's source.
func fakeSource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	image := make([]byte, 0x300)
	copy(image[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(image[0x20e:], 0x60)
	image[0x236] = 1
	copy(image[0x260:], "6.12.0-rambox-tiny (rambox@rambox) #1")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	elf, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"Makefile": fakeMakefile, "scripts/kconfig/conf.c": "", "bzImage": string(image), "vmlinux": string(elf),
		"Kconfig": "config DROPPED\n\tbool \"x\"\n\tdepends on PCI\n",
	}
	writeFiles(t, dir, files)
	return dir
}

func TestBuild(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("RAMBOX_CACHE", cache)
	source := fakeSource(t)
	o := BuildOptions{Profile: "tiny", Arch: "amd64", Source: source, Progress: t.Output()}
	b, err := newBuild(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.target.checkTools(t.Context(), b.settings); err != nil {
		t.Skip(err)
	}
	more := filepath.Join(t.TempDir(), "more.config")
	write := func(text string) { writeFiles(t, filepath.Dir(more), map[string]string{"more.config": text}) }
	steps := []struct {
		name   string
		change func()
		builds int
		err    string
	}{
		{"first", func() {}, 1, ""},
		{"nothing changed", func() {}, 1, ""},
		{"another setting", func() { write("CONFIG_ZRAM=y\n"); o.Fragments = []string{more} }, 2, ""},
		{"the same settings", func() { write("# why\nCONFIG_ZRAM=y\n") }, 2, ""},
		{"another source", func() { writeFiles(t, source, map[string]string{"init/main.c": "int x;"}) }, 3, ""},
		{"a symbol that is dropped", func() { write("\nCONFIG_DROPPED=y\n") }, 3, "more.config:2: CONFIG_DROPPED=y became n: needs PCI (PCI is n, unknown here)"},
		{"a compiler's error", func() { write("CONFIG_BROKEN=y\n") }, 4, "main.c:1: error: broken"},
		{"the last good one again", func() { write("CONFIG_ZRAM=y\n") }, 4, ""},
	}
	for _, s := range steps {
		s.change()
		k, err := Build(t.Context(), o)
		if !matches(err, s.err) {
			t.Fatalf("%s: Build error = %v, want %q", s.name, err, s.err)
		}
		counts, _ := filepath.Glob(filepath.Join(cache, "build", "*", "count"))
		if len(counts) != 1 {
			t.Fatalf("%s: %d object directories, want 1", s.name, len(counts))
		}
		log, _ := os.ReadFile(counts[0])
		if got := strings.Count(string(log), "built"); got != s.builds {
			t.Errorf("%s: %d builds so far, want %d", s.name, got, s.builds)
		}
		boot := filepath.Join(cache, "kernels/rambox-tiny-amd64/boot")
		want := Kernel{Release: "6.12.0-rambox-tiny", Path: boot + "/vmlinuz-6.12.0-rambox-tiny",
			Config: boot + "/config-6.12.0-rambox-tiny", Arch: "amd64", Origin: OriginCache}
		if diff := cmp.Diff(want, k); err == nil && diff != "" {
			t.Errorf("%s: kernel (-want +got):\n%s", s.name, diff)
		}
		if _, err := os.Stat(boot + "/vmlinux-6.12.0-rambox-tiny"); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

func TestLockDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	unlock, err := lockDir(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockDir(impatient, dir, nil); !errors.Is(err, context.Canceled) || !matches(err, "wait for another build in "+dir) {
		t.Errorf("second lockDir error = %v", err)
	}
	said := make(chan string, 1)
	second := make(chan error, 1)
	go func() {
		unlock, err := lockDir(t.Context(), dir, lineWriter(said))
		if err == nil {
			err = unlock()
		}
		second <- err
	}()
	if got, want := <-said, "waiting for another build in "+dir+"\n"; got != want {
		t.Errorf("who waits is told %q, want %q", got, want)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Errorf("lockDir after unlock: %v", err)
	}
}

// lineWriter sends what is written to it.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestCheckTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	target, err := findTarget("amd64")
	if err != nil {
		t.Fatal(err)
	}
	settings := []Setting{{Symbol: "KERNEL_LZ4", Value: "y"}, {Symbol: "KERNEL_XZ", Value: "n"}}
	err = target.checkTools(t.Context(), settings)
	for _, part := range []string{"building a kernel needs make, gcc,", "flex, bison, bc", "lz4 (Debian: apt-get install make gcc"} {
		if !matches(err, part) {
			t.Errorf("checkTools error = %v, want %q in it", err, part)
		}
	}
	if matches(err, "xz") {
		t.Errorf("checkTools error = %v, which names a tool that is not needed", err)
	}
}

// TestOurProfilesAreSmall keeps what may never get into a profile by a mistake.
func TestOurProfilesAreSmall(t *testing.T) {
	tests := []struct {
		profile string
		without []string
	}{
		{"tiny", []string{"NET", "BLOCK", "PCI", "ACPI", "SMP"}},
		{"micro", []string{"PCI", "ACPI", "SMP"}},
		{"run", []string{"MODULES"}},
	}
	for _, tt := range tests {
		p, err := LoadProfile(kernel.FS, tt.profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, arch := range p.Archs {
			all, err := p.Settings(kernel.FS, arch)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range merge(all...) {
				for _, symbol := range tt.without {
					if s.Symbol == symbol && s.Value != "n" {
						t.Errorf("profile %s for %s has %s from %s", tt.profile, arch, symbol, s.Where())
					}
				}
			}
		}
	}
}

// TestOurProfilesOnSource configures every profile over the kernel source in
// $RAMBOX_KERNEL_SOURCE, and so checks each symbol; it compiles no kernel.
func TestOurProfilesOnSource(t *testing.T) {
	dir := os.Getenv("RAMBOX_KERNEL_SOURCE")
	if dir == "" {
		t.Skip("RAMBOX_KERNEL_SOURCE names no kernel source")
	}
	source, err := dirSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := Profiles(kernel.FS)
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	for _, p := range profiles {
		for _, arch := range p.Archs {
			t.Run(p.Name+" "+arch, func(t *testing.T) {
				b, err := newBuild(BuildOptions{Profile: p.Name, Arch: arch, Progress: t.Output()})
				if err != nil {
					t.Fatal(err)
				}
				if err := b.target.checkTools(t.Context(), b.settings); err != nil {
					t.Fatal(err)
				}
				b.source, b.out = source, out
				if err := b.configure(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
