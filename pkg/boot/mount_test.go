package boot

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOptions(t *testing.T) {
	for _, tc := range []struct {
		in    string
		flags uintptr
		data  string
	}{
		{"", 0, ""},
		{"defaults", 0, ""},
		{"ro,noatime,errors=remount-ro", msRdonly | msNoatime, "errors=remount-ro"},
		{"ro,rw", 0, ""},
		{"noatime,relatime", msRelatime, ""},
		{"relatime,strictatime", msStrictatime, ""},
		{"rbind", msBind | msRec, ""},
		{"nofail,x-systemd.automount,X-mount.mkdir,_netdev,comment=a,subvol=@,user,size=10%", 0, "subvol=@,size=10%"},
		{"nosuid,suid,nodev,dev,noexec,exec,sync,async", 0, ""},
		{",,a=b,,", 0, "a=b"},
	} {
		flags, data := ParseOptions(tc.in)
		if flags != tc.flags || data != tc.data {
			t.Errorf("ParseOptions(%q) = %#x, %q, want %#x, %q", tc.in, flags, data, tc.flags, tc.data)
		}
	}
}

func TestParseFstab(t *testing.T) {
	got, err := ParseFstab(`# comment
devpts	/dev/pts	devpts	gid=5,mode=620	0 0

LABEL=data\040disk /mnt/my\040disk ext4 noatime,nofail
/dev/sda1 / ext4 defaults
/dev/sda2 none swap sw
/dev/sda3 swap swap sw
/dev/sda4 /late xfs noauto
tmpfs /srv tmpfs
short line
tmpfs relative tmpfs defaults
`)
	want := []Mount{
		{"devpts", "/dev/pts", "devpts", 0, "gid=5,mode=620", false},
		{"LABEL=data disk", "/mnt/my disk", "ext4", msNoatime, "", true},
		{"tmpfs", "/srv", "tmpfs", 0, "", false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	for _, w := range []string{`line 10: "short line" has 2 fields`, `line 11: target "relative" is not an absolute path`} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %v, want %q in it", err, w)
		}
	}
}

func TestSplitMounts(t *testing.T) {
	tmp, share, bind := Mount{Type: "tmpfs", Target: "/a"}, Mount{Type: "virtiofs", Target: "/b"}, Mount{Source: "/b/c", Target: "/d", Flags: msBind}
	for _, tc := range []struct {
		name             string
		all, early, late []Mount
	}{
		{"none", nil, nil, nil},
		{"no share", []Mount{tmp, bind}, []Mount{tmp, bind}, nil},
		{"what follows a share waits with it", []Mount{tmp, share, bind}, []Mount{tmp}, []Mount{share, bind}},
		{"a share first", []Mount{{Type: "9p"}, tmp}, []Mount{}, []Mount{{Type: "9p"}, tmp}},
	} {
		early, late := splitMounts(tc.all)
		if diff := cmp.Diff([][]Mount{tc.early, tc.late}, [][]Mount{early, late}); diff != "" {
			t.Errorf("%s: early, late (-want +got):\n%s", tc.name, diff)
		}
	}
}

func FuzzParseFstab(f *testing.F) {
	f.Add("tmpfs /tmp tmpfs mode=1777 0 0\n")
	f.Add(`a\040b /c\011\134 ext4 ro`)
	f.Add("\\ \\0 \\04 \\400")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, _ := ParseFstab(text)
		for _, m := range mounts {
			if !strings.HasPrefix(m.Target, "/") || m.Type == "" {
				t.Errorf("ParseFstab(%q) has %+v", text, m)
			}
		}
	})
}
