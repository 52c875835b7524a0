package kmod

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestReadConfig(t *testing.T) {
	etc := fstest.MapFS{
		"50-local.conf":   file("# comment\n\n  # another\noptions loop max_loop=4\noptions snd-dummy \\\n  index=1\tenable=1\nalias eth0 virtio-net\n"),
		"10-first.conf":   file("options loop max_part=7\nblacklist pcspkr\r\nblacklist\tiTCO-wdt\n"),
		"override.conf":   file(""),
		"README":          file("this is not read"),
		".hidden.conf":    file("this neither"),
		"60-no.conf":      file("install dccp /bin/true\ninstall firewire-core /bin/false\ninstall sctp true\n"),
		"70-soft.conf":    file("softdep uhci-hcd pre: ehci-hcd post: a b\nweakdep x y\n"),
		"80-last-bs.conf": file("blacklist trailing\\"),
	}
	lib := fstest.MapFS{
		"override.conf": file("blacklist overridden\n"),
		"55-lib.conf":   file("options loop hw_queue_depth=1\n"),
	}
	got, err := ReadConfig(etc, nil, lib, fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		aliases:  []configAlias{{"eth0", "virtio_net"}},
		softdeps: []configSoftDep{{"uhci-hcd", "pre: ehci-hcd post: a b"}},
		options: []moduleOptions{
			{"loop", "max_part=7"}, {"loop", "max_loop=4"}, {"snd_dummy", "index=1\tenable=1"}, {"loop", "hw_queue_depth=1"},
		},
		blacklist: []string{"pcspkr", "iTCO_wdt", "dccp", "firewire_core", "sctp", "trailing"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Config{}, configAlias{}, configSoftDep{}, moduleOptions{})); diff != "" {
		t.Errorf("ReadConfig (-want +got):\n%s", diff)
	}
	if got, want := got.paramsOf("loop"), "max_part=7 max_loop=4 hw_queue_depth=1"; got != want {
		t.Errorf("paramsOf(loop) = %q, want %q", got, want)
	}
	if got := got.paramsOf("none"); got != "" {
		t.Errorf("paramsOf(none) = %q, want none", got)
	}
}

func TestReadConfigErrors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"install runs a command", "install foo /sbin/modprobe --ignore-install foo", "a.conf:1: install foo: commands are not run here"},
		{"install with more than true", "install foo /bin/true; reboot", "a.conf:1: install foo"},
		{"remove", "\nremove foo /bin/true", "a.conf:2: remove foo: commands are not run here"},
		{"unknown word", "include /etc/other", `a.conf:1: unknown word "include"`},
		{"line numbers count joined lines", "options a \\\n b=c\n\nbogus", `a.conf:4: unknown word "bogus"`},
		{"alias without a module", "alias foo", "a.conf:1: alias: too few words"},
		{"options without any", "options foo ", "a.conf:1: options: too few words"},
		{"blacklist without a module", "blacklist", "a.conf:1: blacklist: no module"},
	}
	for _, tt := range tests {
		c, err := ReadConfig(fstest.MapFS{"a.conf": file(tt.text + "\nblacklist after\n")})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q in it", tt.name, err, tt.want)
		}
		if !slices.Equal(c.blacklist, []string{"after"}) {
			t.Errorf("%s: blacklist %q, want the line after the error to count", tt.name, c.blacklist)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("alias a* b\noptions b c=\"d e\"\nblacklist f\nsoftdep g pre: h\ninstall i /bin/false\n", "abc")
	f.Add("a\\\n\\\n\\", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		c, _ := ReadConfig(fstest.MapFS{"a.conf": file(text)})
		c.aliasesOf(name)
		c.paramsOf(name)
		if _, err := testIndex(t).WithConfig(c).Closure("btrfs"); err != nil && !strings.Contains(text, "alias") {
			t.Errorf("Closure(btrfs): %v", err)
		}
	})
}
