package kernels

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckSettings(t *testing.T) {
	tests := []struct {
		name string
		want Setting
		got  Config
		err  string // after "f.config:1: "; "" is no error
	}{
		{"as wanted", Setting{"NET", "y", "f.config", 1, false}, Config{"NET": "y"}, ""},
		{"off and absent", Setting{"NET", "n", "f.config", 1, false}, Config{}, ""},
		{"a text, whose quotes Config has not", Setting{"HOST", `"a \"b\""`, "f.config", 1, false}, Config{"HOST": `a "b"`}, ""},
		{"a number", Setting{"LOG_SHIFT", "14", "f.config", 1, false}, Config{"LOG_SHIFT": "14"}, ""},
		{"an if around it", Setting{"INET", "y", "f.config", 1, false}, Config{},
			"CONFIG_INET=y became n: needs NET (NET is n)"},
		{"several conditions", Setting{"VIRTIO_BLK", "y", "f.config", 1, false}, Config{"EXPERT": "y", "ISA": "y", "BLK": "m"},
			"CONFIG_VIRTIO_BLK=y became n: needs VIRTIO (VIRTIO is n: no fragment can set it, only VIRTIO_PCI, VIRTIO_MMIO) and BLK=y (BLK is m)"},
		{"a menu's conditions", Setting{"VIRTIO_PCI", "y", "f.config", 1, false}, Config{"EXPERT": "y"},
			"CONFIG_VIRTIO_PCI=y became n: needs BUS || ISA (BUS is n, unknown here, ISA is n, unknown here)"},
		{"the prompt's condition", Setting{"PVH", "y", "f.config", 1, false}, Config{},
			"CONFIG_PVH=y became n: needs EXPERT (EXPERT is n, unknown here)"},
		{"the entry with a prompt counts", Setting{"NET_9P", "y", "f.config", 1, false}, Config{},
			"CONFIG_NET_9P=y became n: needs NET (NET is n)"},
		{"another member of the choice", Setting{"KERNEL_LZ4", "y", "f.config", 1, false}, Config{"X86": "y", "KERNEL_GZIP": "y"},
			"CONFIG_KERNEL_LZ4=y became n: its choice has KERNEL_GZIP"},
		{"no prompt", Setting{"VIRTIO", "y", "f.config", 1, false}, Config{},
			"CONFIG_VIRTIO=y became n: no fragment can set it, only VIRTIO_PCI, VIRTIO_MMIO"},
		{"no prompt and no selector", Setting{"X86", "n", "f.config", 1, false}, Config{"X86": "y"},
			"CONFIG_X86=n became y: no fragment can set it"},
		{"selected", Setting{"VIRTIO", "n", "f.config", 1, false}, Config{"VIRTIO": "y", "VIRTIO_PCI": "y", "VIRTIO_MMIO": "y"},
			"CONFIG_VIRTIO=n became y: it is selected by VIRTIO_MMIO"},
		{"unknown", Setting{"NETT", "y", "f.config", 1, false}, Config{},
			"CONFIG_NETT=y became n: this source has no such symbol"},
		{"optional and unknown", Setting{"NETT", "y", "f.config", 1, true}, Config{}, ""},
		{"optional and not to be chosen here", Setting{"VIRTIO", "y", "f.config", 1, true}, Config{}, ""},
		{"optional and there, but not taken", Setting{"INET", "y", "f.config", 1, true}, Config{},
			"CONFIG_INET=y became n: needs NET (NET is n)"},
		{"a condition that only make can know", Setting{"PVH", "y", "f.config", 1, false}, Config{"EXPERT": "y"},
			"CONFIG_PVH=y became n: all symbols that it depends on are on; perhaps the compiler does not give $(cc-option,-m64)"},
		{"out of range", Setting{"LOG_SHIFT", "99", "f.config", 1, false}, Config{"LOG_SHIFT": "17"},
			"CONFIG_LOG_SHIFT=99 became 17: all symbols that it depends on are on; perhaps the value is out of range, or another symbol sets it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkSettings([]Setting{tt.want}, tt.got, fakeTree(), "x86")
			var got string
			if err != nil {
				_, got, _ = strings.Cut(err.Error(), "f.config:1: ")
			}
			if diff := cmp.Diff(tt.err, got); diff != "" {
				t.Errorf("checkSettings(%v) error (-want +got):\n%s", tt.want, diff)
			}
		})
	}
}

func TestCheckSettingsNamesAll(t *testing.T) {
	want := []Setting{{"INET", "y", "net.config", 3, false}, {"NET", "y", "net.config", 2, false}, {"PVH", "y", "x86.config", 7, false}}
	err := checkSettings(want, Config{"NET": "y", "EXPERT": "y"}, fakeTree(), "x86")
	for _, part := range []string{"net.config:3: CONFIG_INET=y", "x86.config:7: CONFIG_PVH=y"} {
		if !matches(err, part) {
			t.Errorf("checkSettings error = %v, want %q in it", err, part)
		}
	}
	if matches(err, "net.config:2") {
		t.Errorf("checkSettings error = %v, which names a setting that was taken", err)
	}
}
