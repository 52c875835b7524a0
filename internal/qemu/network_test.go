package qemu

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseNetwork(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Network
		err  string // "" is none
	}{
		{"none", Network{Kind: "none"}, ""},
		{"user", Network{Kind: "user"}, ""},
		{"tap:tap0", Network{Kind: "tap", Link: "tap0"}, ""},
		{"tap:fifteen-bytes-x", Network{Kind: "tap", Link: "fifteen-bytes-x"}, ""},
		{"bridge:br0", Network{Kind: "bridge", Link: "br0"}, ""},
		{"", Network{}, "want none, user, tap:DEVICE or bridge:DEVICE"},
		{"users", Network{}, "want none"},
		{"USER", Network{}, "want none"},
		{"user:", Network{}, "want none"},
		{"user:br0", Network{}, "want none"},
		{"none:x", Network{}, "want none"},
		{"user,hostfwd=tcp::1-:1", Network{}, "want none"},
		{"tap", Network{}, "want none"},
		{"tap:", Network{}, "want none"},
		{"bridge", Network{}, "want none"},
		{"tap:sixteen-bytes-xx", Network{}, `"sixteen-bytes-xx" cannot be the name of a network device`},
		{"tap:rambox%d", Network{}, "cannot be"},
		{"tap:..", Network{}, "cannot be"},
		{"tap:a/b", Network{}, "cannot be"},
		{"tap:a:b", Network{}, "cannot be"},
		{"tap:a b", Network{}, "cannot be"},
		{"tap:a\x00b", Network{}, "cannot be"},
	} {
		got, err := ParseNetwork(tc.in)
		if diff := cmp.Diff(tc.want, got); diff != "" || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("ParseNetwork(%q): error %v, want %q (-want +got):\n%s", tc.in, err, tc.err, diff)
		}
		if err == nil && got.Card() != (tc.in != "none") {
			t.Errorf("ParseNetwork(%q).Card() = %v", tc.in, got.Card())
		}
	}
}

func TestParseMAC(t *testing.T) {
	for in, want := range map[string]string{
		"52:54:00:AB:cd:ef":       "52:54:00:ab:cd:ef",
		"52-54-00-12-34-56":       "52:54:00:12:34:56",
		"":                        "",
		"52:54:00:12:34":          "",
		"52:54:00:12:34:5g":       "",
		"52:54:00:12:34:56,x=y":   "",
		"02:00:5e:10:00:00:00:01": "", // EUI-64
		"00:00:00:00:00:00":       "",
		"01:00:5e:00:00:01":       "",
		"ff:ff:ff:ff:ff:ff":       "",
	} {
		if got, err := ParseMAC(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseMAC(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestNewMAC(t *testing.T) {
	one, two := NewMAC(), NewMAC()
	if parsed, err := ParseMAC(one); err != nil || parsed != one || !strings.HasPrefix(one, "52:54:00:") || one == two {
		t.Errorf("NewMAC() = %s, then %s: %v", one, two, err)
	}
}

func TestParseForward(t *testing.T) {
	for _, tc := range []struct {
		in, want string // what the forward is in full; "" is an error
		err      string
	}{
		{"8080:80", "tcp:127.0.0.1:8080:80", ""},
		{"0:80", "tcp:127.0.0.1:0:80", ""},
		{"65535:65535", "tcp:127.0.0.1:65535:65535", ""},
		{"127.0.0.2:8080:80", "tcp:127.0.0.2:8080:80", ""},
		{"0.0.0.0:8080:80", "tcp:0.0.0.0:8080:80", ""},
		{"tcp:8080:80", "tcp:127.0.0.1:8080:80", ""},
		{"udp:5353:53", "udp:127.0.0.1:5353:53", ""},
		{"udp:10.0.0.1:5353:53", "udp:10.0.0.1:5353:53", ""},
		{"[::1]:8080:80", "", "IPv4"},
		{"tcp:[::1]:8080:80", "", "IPv4"},
		{"::1:8080:80", "", "want [tcp:|udp:][ADDRESS:]PORT:GUESTPORT"},
		{"localhost:8080:80", "", `"localhost" is no IPv4 address`},
		{":8080:80", "", `"" is no IPv4 address`},
		{"sctp:8080:80", "", `"sctp" is no IPv4 address`},
		{"8080", "", "want [tcp:"},
		{"", "", "want [tcp:"},
		{"tcp:", "", "want [tcp:"},
		{"8080:", "", `"" is no port`},
		{"http:80", "", `"http" is no port`},
		{"65536:80", "", `"65536" is no port`},
		{"+80:80", "", `"+80" is no port`},
		{"-1:80", "", `"-1" is no port`},
		{"8080:80,x=y", "", `"80,x=y" is no port`},
		{"8080:0", "", "port 0"},
		{"8080-8090:80", "", "is no port"},
		{"127.0.0.1:1:2:3", "", "want [tcp:"},
	} {
		got, err := ParseForward(tc.in)
		if tc.want == "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("ParseForward(%q) = %v, %v, want an error with %q", tc.in, got, err, tc.err)
			}
			continue
		}
		if err != nil || got.String() != tc.want {
			t.Errorf("ParseForward(%q) = %v, %v, want %s", tc.in, got, err, tc.want)
		}
	}
}

// FuzzParseForward: what is taken is one option for QEMU, and is read back as it is written.
func FuzzParseForward(f *testing.F) {
	for _, s := range []string{"8080:80", "0:80", "udp:0.0.0.0:5353:53", "tcp:127.0.0.1:1:2", "[::1]:8080:80", "::", "tcp:tcp:1:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		forward, err := ParseForward(s)
		if err != nil {
			return
		}
		if again, err := ParseForward(forward.String()); err != nil || again != forward {
			t.Errorf("ParseForward(%q) = %v, and that is read as %v, %v", s, forward, again, err)
		}
		if forward.Host.Port() == 0 {
			forward.Host = netip.AddrPortFrom(forward.Host.Addr(), 1)
		}
		m := Machine{Arch: "amd64", Kernel: "k", Net: Network{Kind: "user", Forwards: []Forward{forward}}}
		if _, err := m.Args(); err != nil || strings.ContainsAny(forward.rule(), ", ") {
			t.Errorf("ParseForward(%q): QEMU gets %q, %v", s, forward.rule(), err)
		}
	})
}
