package kernels

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpr(t *testing.T) {
	c := Config{"NET": "y", "USB": "m", "NR_CPUS": "64", "START": "0x200000", "NAME": "box", "64BIT": "y"}
	tests := []struct {
		in      string
		value   int
		text    string // "" is in itself
		symbols []string
	}{
		{in: "NET", value: yes, symbols: []string{"NET"}},
		{in: "USB", value: mod, symbols: []string{"USB"}},
		{in: "PCI", value: no, symbols: []string{"PCI"}},
		{in: "y", value: yes},
		{in: "!NET", value: no, symbols: []string{"NET"}},
		{in: "! USB", value: mod, text: "!USB", symbols: []string{"USB"}},
		{in: "!!NET", value: yes, symbols: []string{"NET"}},
		{in: "NET&&USB", value: mod, text: "NET && USB", symbols: []string{"NET", "USB"}},
		{in: "PCI || NET && USB", value: mod, text: "PCI || (NET && USB)", symbols: []string{"PCI", "NET", "USB"}},
		{in: "(PCI || NET) && NET", value: yes, symbols: []string{"PCI", "NET"}},
		{in: "!(PCI || USB)", value: mod, symbols: []string{"PCI", "USB"}},
		{in: "USB=m", value: yes, symbols: []string{"USB"}},
		{in: "USB != y && NET = y", value: yes, text: "USB!=y && NET=y", symbols: []string{"USB", "NET"}},
		{in: "NR_CPUS > 8", value: yes, text: "NR_CPUS>8", symbols: []string{"NR_CPUS"}},
		{in: "NR_CPUS<=63", value: no, symbols: []string{"NR_CPUS"}},
		{in: "START >= 0x100000", value: yes, text: "START>=0x100000", symbols: []string{"START"}},
		{in: `NAME = "box"`, value: yes, text: `NAME="box"`, symbols: []string{"NAME"}},
		{in: `"a&&b" != 'c'`, value: yes, text: `"a&&b"!='c'`},
		{in: "64BIT", value: yes, symbols: []string{"64BIT"}},
		{in: "$(cc-option,-mfoo,$(x)) && NET", value: yes, symbols: []string{"NET"}},
		{in: "NET = USB", value: no, text: "NET=USB", symbols: []string{"NET", "USB"}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			e, err := parseExpr(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.eval(c); got != tt.value {
				t.Errorf("eval(%q) = %d, want %d", tt.in, got, tt.value)
			}
			text := tt.text
			if text == "" {
				text = tt.in
			}
			if e.String() != text {
				t.Errorf("String of %q = %q, want %q", tt.in, e, text)
			}
			if diff := cmp.Diff(tt.symbols, e.symbols()); diff != "" {
				t.Errorf("symbols of %q (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestExprErrors(t *testing.T) {
	for _, in := range []string{"", "NET &&", "&& NET", "(NET", "NET)", "NET USB", "NET =", "= y", "!", "NET | USB", "NET = = y"} {
		if e, err := parseExpr(in); err == nil {
			t.Errorf("parseExpr(%q) = %v, want an error", in, e)
		}
	}
}

func FuzzParseExpr(f *testing.F) {
	f.Add("(PCI || NET=m) && !USB && NR_CPUS > 0x8 && $(cc-option,-m64)")
	f.Add(`A = "x" || 'y' != B`)
	f.Fuzz(func(t *testing.T, in string) {
		e, err := parseExpr(in)
		if err != nil {
			return
		}
		text := e.String()
		again, err := parseExpr(text)
		if err != nil {
			t.Fatalf("parseExpr(%q) gives %q, which it refuses: %v", in, text, err)
		}
		c := Config{"A": "y", "B": "m"}
		if again.String() != text || again.eval(c) != e.eval(c) {
			t.Errorf("%q becomes %q, and that %q", in, text, again)
		}
		unmetConditions([]string{in}, c)
	})
}
