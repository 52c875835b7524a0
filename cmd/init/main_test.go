//go:build linux

package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sizeBudget is the most that a stripped init may have, in bytes, on any
// architecture.
const sizeBudget = 3 << 20

// dependencies are all packages that end up in PID 1 without the network, but
// for the internal ones of the standard library, which differ from one Go
// release to the next. A new name here is code that runs as PID 1: add it for a
// reason.
var dependencies = strings.Fields(`
	github.com/u-root/u-root/pkg/mount
	golang.org/x/sys/unix
	rambox/cmd/init
	rambox/pkg/blkid
	rambox/pkg/boot
	rambox/pkg/cmdline
	rambox/pkg/kmod

	bytes
	cmp
	context
	encoding/binary
	errors
	fmt
	io
	io/fs
	iter
	log
	math
	math/bits
	os
	os/signal
	path
	path/filepath
	reflect
	runtime
	runtime/debug
	slices
	sort
	strconv
	strings
	sync
	sync/atomic
	syscall
	time
	unicode
	unicode/utf8
	unsafe
`)

// netDependencies are what the network adds.
var netDependencies = strings.Fields(`
	github.com/insomniacslk/dhcp/dhcpv4
	github.com/insomniacslk/dhcp/iana
	github.com/insomniacslk/dhcp/interfaces
	github.com/insomniacslk/dhcp/rfc1035label
	github.com/pierrec/lz4/v4
	github.com/u-root/uio/rand
	github.com/u-root/uio/uio
	github.com/vishvananda/netlink/nl
	github.com/vishvananda/netns
	rambox/pkg/netcfg

	encoding/hex
	math/rand/v2
	net
	net/netip
	unique
	weak
`)

func TestDependencies(t *testing.T) {
	noDisk := slices.DeleteFunc(slices.Clone(dependencies), func(name string) bool { return name == "rambox/pkg/blkid" })
	all := slices.Concat(dependencies, netDependencies)
	for _, tc := range []struct {
		arch, tags string
		want       []string
	}{
		{"amd64", "", all},
		{"amd64", "nonet", dependencies},
		{"amd64", "nonet,nodisk", noDisk},
		{"386", "", all},
		{"arm", "", all},
		{"arm64", "", all},
		{"riscv64", "", all},
	} {
		list := exec.Command("go", "list", "-deps", "-tags", tc.tags, ".")
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+tc.arch)
		out, err := list.Output()
		if err != nil {
			t.Fatalf("%v: %v", list, err)
		}
		got := slices.DeleteFunc(strings.Fields(string(out)), func(name string) bool {
			words := strings.Split(name, "/")
			return slices.Contains(words, "internal") || slices.Contains(words, "vendor")
		})
		slices.Sort(got)
		slices.Sort(tc.want)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("packages in init for %s with tags %q (- no longer, + new):\n%s", tc.arch, tc.tags, diff)
		}
	}
}

// TestProgram builds init with make, for each architecture.
func TestProgram(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{
		"amd64": elf.EM_X86_64, "386": elf.EM_386, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "riscv64": elf.EM_RISCV,
	} {
		program := build(t, arch)
		if len(program) > sizeBudget {
			t.Errorf("init for %s has %d bytes, more than the budget of %d", arch, len(program), sizeBudget)
		}
		f, err := elf.NewFile(bytes.NewReader(program))
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != machine {
			t.Errorf("init for %s is for %v, want %v", arch, f.Machine, machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("init for %s has a %v header, so it is not static", arch, p.Type)
			}
		}
	}
}

// TestReproducible builds init in two directories that are not this one.
func TestReproducible(t *testing.T) {
	if !bytes.Equal(build(t, "amd64"), build(t, "amd64")) {
		t.Error("two builds of the same source in different directories differ")
	}
}

// build makes init in a copy of the source.
func build(t *testing.T, arch string) []byte {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"cmd/init", "pkg"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS("../../"+part)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "Makefile"} {
		data, err := os.ReadFile("../../" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command("make", "init", "GOARCH="+arch)
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v in %s: %v\n%s", run, dir, err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "bin/init"))
	if err != nil {
		t.Fatal(err)
	}
	return program
}
