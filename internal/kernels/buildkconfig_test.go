package kernels

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestKconfigLines(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"comments, blanks, continued lines", "# top\nconfig A # this\n\n\tdepends on B && \\\n\t\tC\n", []string{"config A", "depends on B && C"}},
		{"a hash in quotes", "\tprompt \"C# mode\" # x", []string{`prompt "C# mode"`}},
		{"help ends where the indentation does", "config A\n\thelp\n\t  if not sure,\n\n\t    config nothing\n\t  say N\n\tdepends on B\nconfig C\n",
			[]string{"config A", "depends on B", "config C"}},
		{"empty help", "config A\n\thelp\nconfig B\n", []string{"config A", "config B"}},
		{"old help, spaces", "config A\n  ---help---\n    text\nendif", []string{"config A", "endif"}},
		{"a backslash in help", "config A\n\thelp\n\t  text \\\nconfig B\n", []string{"config A", "config B"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, kconfigLines(tt.in)); diff != "" {
				t.Errorf("kconfigLines(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

// fakeTree is a kernel tree of Kconfig files with every construct that is read.
func fakeTree() fstest.MapFS {
	return fstest.MapFS{
		"Kconfig": {Data: []byte(`mainmenu "Test"
source "arch/$(SRCARCH)/Kconfig"
source "net/Kconfig"
source "drivers/Kconfig"
`)},
		"arch/x86/Kconfig": {Data: []byte(`config X86
	def_bool y
source "arch/$(HEADER_ARCH)/um/Kconfig"
config PVH
	bool "PVH" if EXPERT
	depends on $(cc-option,-m64)
	select XEN_NOTES
config XEN_NOTES
	bool
choice
	prompt "Compression"
	depends on X86
config KERNEL_GZIP
	bool "gzip"
config KERNEL_LZ4
	bool "lz4"
endchoice
config LOG_SHIFT
	int "Log"
	range 12 25
`)},
		"net/Kconfig": {Data: []byte(`menuconfig NET
	bool "Networking"
	help
	  config NOTHING is not a symbol.
if NET
config INET
	bool 'TCP/IP'
endif
config NET_9P
	tristate "9P"
	depends on NET
`)},
		"drivers/Kconfig": {Data: []byte(`menu "Drivers"
	depends on BUS || ISA
	visible if EXPERT
config VIRTIO
	bool
config VIRTIO_BLK
	tristate "disk"
	depends on VIRTIO
	depends on BLK=y
config VIRTIO_PCI
	tristate "pci"
	select VIRTIO if INET
config VIRTIO_MMIO
	tristate "mmio"
	select VIRTIO
comment "needs more"
	depends on NOTHING
endmenu
config NET_9P
	bool
	depends on NOTHING
`)},
	}
}

func TestReadKconfig(t *testing.T) {
	k, err := readKconfig(fakeTree(), "x86")
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Prompt  bool
		Depends []string
		Choice  []string
	}
	tests := map[string][]entry{
		"X86":         {{}},
		"PVH":         {{Prompt: true, Depends: []string{"EXPERT", "$(cc-option,-m64)"}}},
		"KERNEL_LZ4":  {{Prompt: true, Depends: []string{"X86"}, Choice: []string{"KERNEL_GZIP", "KERNEL_LZ4"}}},
		"INET":        {{Prompt: true, Depends: []string{"NET"}}},
		"NET_9P":      {{Prompt: true, Depends: []string{"NET"}}, {Depends: []string{"NOTHING"}}},
		"VIRTIO":      {{Depends: []string{"BUS || ISA", "EXPERT"}}},
		"VIRTIO_BLK":  {{Prompt: true, Depends: []string{"BUS || ISA", "EXPERT", "VIRTIO", "BLK=y"}}},
		"NOTHING":     nil,
		"LOG_SHIFT":   {{Prompt: true}},
		"KERNEL_GZIP": {{Prompt: true, Depends: []string{"X86"}, Choice: []string{"KERNEL_GZIP", "KERNEL_LZ4"}}},
	}
	for symbol, want := range tests {
		var got []entry
		for _, e := range k.entries[symbol] {
			g := entry{Prompt: e.prompt, Depends: e.depends}
			if e.choice != nil {
				g.Choice = e.choice.members
			}
			got = append(got, g)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries of %s (-want +got):\n%s", symbol, diff)
		}
	}
	if got := k.selectors("VIRTIO", Config{"VIRTIO_PCI": "y"}, false); got != "VIRTIO_PCI, VIRTIO_MMIO" {
		t.Errorf("selectors of VIRTIO = %q", got)
	}
}

func TestReadKconfigErrors(t *testing.T) {
	tests := []struct {
		name string
		tree fstest.MapFS
		want string
	}{
		{"no file", fstest.MapFS{}, "read Kconfig files"},
		{"a file that includes itself", fstest.MapFS{"Kconfig": {Data: []byte(`source "Kconfig"`)}}, "more than 32 deep"},
		{"a path out of the tree", fstest.MapFS{"Kconfig": {Data: []byte(`source "../x"`)}}, "read Kconfig files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := readKconfig(tt.tree, "x86"); !matches(err, tt.want) {
				t.Errorf("readKconfig error = %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzReadKconfig(f *testing.F) {
	for _, file := range fakeTree() {
		f.Add(string(file.Data))
	}
	f.Fuzz(func(t *testing.T, in string) {
		k, err := readKconfig(fstest.MapFS{"Kconfig": {Data: []byte(in)}}, "x86")
		if err != nil {
			return
		}
		for symbol := range k.entries {
			k.explain(Setting{Symbol: symbol, Value: "y"}, Config{"A": "y"})
			k.explain(Setting{Symbol: symbol, Value: "n"}, Config{"A": "y", symbol: "y"})
		}
	})
}
