package netcfg

import (
	"strings"
	"testing"
)

// TestSettings6 is what a link is set to for the methods that may use it.
func TestSettings6(t *testing.T) {
	tests := []struct {
		methods    []Method
		forwarding bool
		want       string // accept_ra, autoconf
	}{
		{[]Method{Auto6}, false, "1 1"},
		{[]Method{Either6}, true, "2 1"},
		{[]Method{DHCP6}, false, "1 0"},
		{[]Method{DHCP6}, true, "2 0"},
		{[]Method{LinkLocal}, true, "0 0"},
		{[]Method{DHCP6, LinkLocal, Auto6}, false, "1 1"},
		{[]Method{LinkLocal, DHCP6}, false, "1 0"},
	}
	for _, test := range tests {
		value := map[string]string{}
		var names []string
		for _, s := range settings6(test.methods, test.forwarding) {
			value[s.name] = s.value
			names = append(names, s.name)
		}
		if got := value["accept_ra"] + " " + value["autoconf"]; got != test.want {
			t.Errorf("%v, forwarding %t: %s, want %s", test.methods, test.forwarding, got, test.want)
		}
		if value["disable_ipv6"] != "0" || value["router_solicitation_delay"] != "0" || names[len(names)-1] != "disable_ipv6" {
			t.Errorf("%v: %s", test.methods, strings.Join(names, " "))
		}
	}
}
