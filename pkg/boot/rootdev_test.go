package boot

import (
	"strings"
	"testing"
)

func TestParseDevice(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Device
		err  string
	}{
		{"/dev/vda1", Device{Path: "/dev/vda1"}, ""},
		{"/dev/mapper/root", Device{Path: "/dev/mapper/root"}, ""},
		{"254:1", Device{Number: true, Major: 254, Minor: 1}, ""},
		{"8:17:0", Device{Number: true, Major: 8, Minor: 17}, ""},
		{"fe01", Device{Number: true, Major: 254, Minor: 1}, ""},
		{"0x801", Device{Number: true, Major: 8, Minor: 1}, ""},
		{"10300105", Device{Number: true, Major: 0x1, Minor: 0x10305}, ""},
		{"UUID=0a-1B", Device{Tag: "UUID", Value: "0a-1B"}, ""},
		{"LABEL=my disk", Device{Tag: "LABEL", Value: "my disk"}, ""},
		{"LABEL=a=b", Device{Tag: "LABEL", Value: "a=b"}, ""},
		{"PARTLABEL=root", Device{Tag: "PARTLABEL", Value: "root"}, ""},
		{"PARTUUID=deadbeef-01", Device{Tag: "PARTUUID", Value: "deadbeef-01"}, ""},
		{"PARTUUID=deadbeef-01/PARTNROFF=-1", Device{Tag: "PARTUUID", Value: "deadbeef-01", PartOff: -1}, ""},
		{"/dev/disk/by-uuid/0a-1b", Device{Tag: "UUID", Value: "0a-1b"}, ""},
		{`/dev/disk/by-label/my\x20disk`, Device{Tag: "LABEL", Value: "my disk"}, ""},
		{"/dev/disk/by-partuuid/x", Device{Tag: "PARTUUID", Value: "x"}, ""},
		{"/dev/disk/by-partlabel/x", Device{Tag: "PARTLABEL", Value: "x"}, ""},
		{"/dev/disk/by-id/ata-X", Device{}, "a link that udev makes"},
		{"PARTUUID=x/PARTNR=1", Device{}, "want /PARTNROFF="},
		{"PARTUUID=x/PARTNROFF=", Device{}, "want /PARTNROFF="},
		{"UUID=", Device{}, "UUID= without a value"},
		{"ID=x", Device{}, "no form of a block device"},
		{"vda", Device{}, "no form of a block device"},
		{"/dev/", Device{}, "no form of a block device"},
		{"", Device{}, "no form of a block device"},
		{"8:x", Device{}, "no form of a block device"},
		{"8:1:x", Device{}, "no form of a block device"},
	} {
		got, err := ParseDevice(tc.in)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("ParseDevice(%q) = %v, want %q", tc.in, err, tc.err)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("ParseDevice(%q) = %+v, %v, want %+v", tc.in, got, err, tc.want)
		}
	}
}

func FuzzParseDevice(f *testing.F) {
	for _, s := range []string{"/dev/vda1", "254:1", "fe01", "PARTUUID=x/PARTNROFF=1", `/dev/disk/by-label/my\x20disk`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDevice(s)
		if err != nil {
			return
		}
		// What it prints means the same.
		if again, err := ParseDevice(d.String()); err != nil || again != d {
			t.Errorf("ParseDevice(%q) = %+v, which prints as %q: %+v, %v", s, d, d, again, err)
		}
	})
}
