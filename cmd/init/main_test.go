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

// sizeBudget is the most that a stripped init for amd64 may have, in bytes.
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
	for _, tc := range []struct {
		tags string
		want []string
	}{
		{"", slices.Concat(dependencies, netDependencies)},
		{"nonet", dependencies},
		{"nonet,nodisk", noDisk},
	} {
		list := exec.Command("go", "list", "-deps", "-tags", tc.tags, ".")
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
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
			t.Errorf("packages in init with tags %q (- no longer, + new):\n%s", tc.tags, diff)
		}
	}
}

// TestProgram builds init with make, in two directories that are not this one.
func TestProgram(t *testing.T) {
	program := build(t)
	if len(program) > sizeBudget {
		t.Errorf("init has %d bytes, more than the budget of %d", len(program), sizeBudget)
	}
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("init has a %v header, so it is not static", p.Type)
		}
	}
	if !bytes.Equal(program, build(t)) {
		t.Error("two builds of the same source in different directories differ")
	}
}

// build makes init in a copy of the source.
func build(t *testing.T) []byte {
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
	run := exec.Command("make", "init")
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
