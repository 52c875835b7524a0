package image

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeBusybox lists a few applets, as the real one does.
func fakeBusybox(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "busybox")
	script := "#!/bin/sh\nprintf '%s\\n' bin/sh bin/ls usr/bin/env usr/bin/[ sbin/init linuxrc sbin/poweroff sbin/halt sbin/mdev bin/busybox\n"
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBusybox(t *testing.T) {
	busybox := fakeBusybox(t)
	for _, test := range []struct {
		name    string
		ourInit bool
		add     []Add
		want    map[string]string // link → target; "" for none
	}{
		{"beside our init", true, nil, map[string]string{
			"bin/sh": "busybox", "usr/bin/[": "../../bin/busybox", "sbin/mdev": "../bin/busybox",
			"init": "", "sbin/init": "", "linuxrc": "", "sbin/poweroff": "", "sbin/halt": "",
		}},
		{"beside another init", false, nil, map[string]string{"sbin/init": "", "sbin/poweroff": "../bin/busybox"}},
		{"the user's own shell", true, []Add{AddLink("bin/sh", "bash")}, map[string]string{"bin/sh": "bash", "bin/ls": "busybox"}},
		{"merged directories", true, []Add{AddLink("bin", "usr/bin"), AddLink("sbin", "usr/sbin")}, map[string]string{
			"usr/bin/sh": "busybox", "usr/bin/env": "busybox", "usr/sbin/mdev": "../bin/busybox",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := NewTree(time.Time{})
			for _, a := range test.add {
				if err := tree.Add(a); err != nil {
					t.Fatal(err)
				}
			}
			if err := tree.addBusybox(busybox, test.ourInit); err != nil {
				t.Fatal(err)
			}
			if e, ok := tree.Lookup("bin/busybox"); !ok || e.Mode != 0o755 {
				t.Errorf("bin/busybox is %v", e)
			}
			for name, want := range test.want {
				got := ""
				if e := tree.entries[name]; e != nil {
					got = e.Target
				}
				if got != want {
					t.Errorf("%s leads to %q, want %q", name, got, want)
				}
			}
		})
	}
}

// The table of names in the binary holds what the program itself lists.
func TestAppletNames(t *testing.T) {
	const busybox = "/bin/busybox"
	data, err := os.ReadFile(busybox)
	if err != nil {
		t.Skip(err)
	}
	want := strings.Fields(command(t, "", nil, busybox, "--list"))
	if got := appletNames(data); !slices.Equal(got, want) {
		t.Errorf("%d names, want %d", len(got), len(want))
	}
}

func TestForeignBusybox(t *testing.T) {
	file := filepath.Join(t.TempDir(), "busybox")
	for _, test := range []struct{ data, want, err string }{
		{"\x7fELF..[\x00[[\x00b\x00a\x00...[\x00[[\x00env\x00ls\x00sh\x00\x00...", "usr/bin/env bin/[ bin/[[ bin/env bin/ls bin/sh", ""},
		{"\x7fELF..[\x00[[\x00ls\x00\x00", "", "no table of them is in it"},
		{"nothing", "", "no table of them is in it"},
	} {
		if err := os.WriteFile(file, []byte(test.data), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := busyboxApplets(file)
		if !matches(err, test.err) || strings.Join(got, " ") != test.want {
			t.Errorf("%q: %q, %v; want %q, %q", test.data, got, err, test.want, test.err)
		}
	}
	if _, err := busyboxApplets(file + ".none"); !matches(err, "busybox: ") {
		t.Errorf("no file: %v", err)
	}
}

func FuzzAppletNames(f *testing.F) {
	f.Add([]byte("..[\x00[[\x00env\x00ls\x00sh\x00\x00..."))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range appletNames(data) {
			if name == "" || strings.Contains(name, "/") {
				t.Errorf("applet %q", name)
			}
		}
	})
}
