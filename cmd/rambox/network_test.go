package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rambox/internal/qemu"
)

func TestNetwork(t *testing.T) {
	forward := func(s string) qemu.Forward {
		f, err := qemu.ParseForward(s)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, tc := range []struct {
		name string
		o    runOptions
		want qemu.Network
		err  string // "" is none
	}{
		{"none", runOptions{net: "none"}, qemu.Network{Kind: "none"}, ""},
		{"user", runOptions{net: "user", mac: "52-54-00-00-00-01"}, qemu.Network{Kind: "user", MAC: "52:54:00:00:00:01"}, ""},
		{
			"forwards", runOptions{net: "user", forwards: []string{"8080:80", "udp:1:2"}},
			qemu.Network{Kind: "user", Forwards: []qemu.Forward{forward("8080:80"), forward("udp:1:2")}}, "",
		},
		{"tap", runOptions{net: "tap:t", mac: "52:54:00:00:00:01"}, qemu.Network{Kind: "tap", Link: "t", MAC: "52:54:00:00:00:01"}, ""},
		{"bad network", runOptions{net: "vde"}, qemu.Network{}, "--net vde: want none, user, tap:DEVICE or bridge:DEVICE"},
		{"empty network", runOptions{}, qemu.Network{}, "--net : want none"},
		{"bad forward", runOptions{net: "user", forwards: []string{"80"}}, qemu.Network{}, "--forward 80: want"},
		{"forward with none", runOptions{net: "none", forwards: []string{"1:2"}}, qemu.Network{}, "--forward 1:2 with --net none: there is no network"},
		{"forward with tap", runOptions{net: "tap:t", forwards: []string{"1:2"}}, qemu.Network{}, "--forward 1:2 with --net tap:t: nothing lies between"},
		{"bad MAC", runOptions{net: "user", mac: "52"}, qemu.Network{}, "--mac 52: want six bytes"},
		{"MAC with none", runOptions{net: "none", mac: "52:54:00:00:00:01"}, qemu.Network{}, "there is no network card"},
	} {
		got, err := tc.o.network()
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: error %v, want %q", tc.name, err, tc.err)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, got, cmpopts.EquateComparable(qemu.Forward{})); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
}

// TestAddresses: two machines on a network are told apart.
func TestAddresses(t *testing.T) {
	o := runOptions{net: "bridge:br0"}
	one, err1 := o.network()
	two, err2 := o.network()
	if err1 != nil || err2 != nil || one.MAC == "" || one.MAC == two.MAC {
		t.Errorf("addresses %q and %q, errors %v and %v", one.MAC, two.MAC, err1, err2)
	}
}
