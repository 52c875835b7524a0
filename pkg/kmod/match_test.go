package kmod

import "testing"

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", true},
		{"*", "anything", true},
		{"**", "", true},
		{"a*", "a", true},
		{"a*c", "abc", true},
		{"a*c", "abcd", false},
		{"a*b*c", "a-b-b-c", true},
		{"*a*a", "aa", true},
		{"*a*a", "a", false},
		{"*ab", "aab", true},
		{"?", "", false},
		{"?", "a", true},
		{"a?c", "abc", true},
		{"*?", "", false},
		{"*?b", "aab", true},
		{"[ab]", "b", true},
		{"[ab]", "c", false},
		{"[a-c]x", "bx", true},
		{"[!a-c]", "d", true},
		{"[!a-c]", "b", false},
		{"[^a]", "b", true},
		{"[]a]", "]", true},
		{"[a-]", "a", true},
		{"*[0-2]*", "d0112", true},
		{"*[5-9]", "d0112", false},
		{"[ab", "a", false},
		{"[", "[", false},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{`\`, `\`, false},
		{"a-b", "a_b", true},
		{"a_b", "a-b", true},
		{"*-b", "x_b", true},
		{"*_b", "x-b", true},
		{"[a-c]", "-", false},
		{"[_]", "-", true}, // alias_normalize changes only the name here
		{"acpi*:PNP0C14:*", "acpi:PNP0C14:PNP0C02:", true},
		{"acpi*:PNP0C14:*", "acpi:PNP0C02:", false},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("match(%q, %q) = %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
	}
}

// matchPlain is match by its definition.
func matchPlain(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return matchPlain(pattern[1:], s) || s != "" && matchPlain(pattern, s[1:])
	}
	if s == "" {
		return false
	}
	n := matchOne(pattern, fold(s[0]))
	return n > 0 && matchPlain(pattern[n:], s[1:])
}

func FuzzMatch(f *testing.F) {
	f.Add("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00")
	f.Add("usb:v13FDp3940d0[0-2]*", "usb:v13FDp3940d0112")
	f.Add("a*[!b-d]?**\\*e", "aaaexxx*e")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		got := match(pattern, s)
		if len(pattern) > 12 || len(s) > 20 {
			return // the definition takes exponential time
		}
		if want := matchPlain(pattern, s); got != want {
			t.Errorf("match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}
