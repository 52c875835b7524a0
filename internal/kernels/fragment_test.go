package kernels

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFragment(t *testing.T) {
	tests := []struct {
		name, in string
		want     []Setting
		err      string
	}{
		{name: "empty"},
		{name: "comments and blanks", in: "# Disks.\n\n#\n   \n# CONFIG_X is off because\n"},
		{name: "every kind of value", in: "CONFIG_NET=y\n# why\nCONFIG_LOG_BUF_SHIFT=14\nCONFIG_PHYSICAL_START=0x200000\nCONFIG_DEFAULT_HOSTNAME=\"a b\"\nCONFIG_A=-1\n",
			want: []Setting{
				{"NET", "y", "f.config", 1, false}, {"LOG_BUF_SHIFT", "14", "f.config", 3, false}, {"PHYSICAL_START", "0x200000", "f.config", 4, false},
				{"DEFAULT_HOSTNAME", `"a b"`, "f.config", 5, false}, {"A", "-1", "f.config", 6, false},
			}},
		{name: "off in both forms", in: "# CONFIG_SWAP is not set\nCONFIG_SMP=n\n",
			want: []Setting{{"SWAP", "n", "f.config", 1, false}, {"SMP", "n", "f.config", 2, false}}},
		{name: "blanks around, carriage return", in: "  CONFIG_NET=y \r\n", want: []Setting{{"NET", "y", "f.config", 1, false}}},
		{name: "symbol that begins with a digit", in: "CONFIG_9P_FS=y", want: []Setting{{"9P_FS", "y", "f.config", 1, false}}},
		{name: "no prefix", in: "\nNET=y", err: `f.config:2: "NET=y": want`},
		{name: "no value", in: "CONFIG_NET=", err: "f.config:1"},
		{name: "value without quotes", in: "CONFIG_A=abc", err: "f.config:1"},
		{name: "comment after a value", in: "CONFIG_A=y # why", err: "f.config:1"},
		{name: "open quote", in: `CONFIG_A="x`, err: "f.config:1"},
		{name: "no symbol", in: "CONFIG_=y", err: "f.config:1"},
		{name: "twice", in: "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_A is not set\n", err: "f.config:3: A is already set in line 1"},
		{name: "optional", in: "# optional: since 6.8\nCONFIG_A=y\nCONFIG_B=y\n# optional\n# CONFIG_C is not set\n# optionally\n",
			want: []Setting{{"A", "y", "f.config", 2, true}, {"B", "y", "f.config", 3, false}, {"C", "n", "f.config", 5, true}}},
		{name: "optional at the end", in: "CONFIG_A=y\n# optional: why\n", err: "f.config:2: optional: want a setting in the next line"},
		{name: "optional before a comment", in: "# optional\n# why\nCONFIG_A=y\n", err: "f.config:1: optional: want a setting in the next line"},
		{name: "a line without end", in: "CONFIG_A=" + strings.Repeat("1", 1<<17), err: "read fragment f.config"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseFragment("f.config", []byte(tt.in))
			if !matches(err, tt.err) {
				t.Fatalf("ParseFragment(%.40q) error = %v, want %q", tt.in, err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseFragment(%.40q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

// matches reports whether err's text contains want; "" wants no error.
func matches(err error, want string) bool {
	if err == nil {
		return want == ""
	}
	return want != "" && strings.Contains(err.Error(), want)
}

func TestMerge(t *testing.T) {
	base := []Setting{{"NET", "y", "base", 1, false}, {"SMP", "y", "base", 2, false}, {"A", "1", "base", 3, false}}
	user := []Setting{{"SMP", "n", "user", 1, false}, {"B", `"x"`, "user", 2, false}}
	got := string(formatSettings(merge(base, user)))
	want := "CONFIG_A=1\nCONFIG_B=\"x\"\nCONFIG_NET=y\n# CONFIG_SMP is not set\n"
	if got != want {
		t.Errorf("merged settings = %q, want %q", got, want)
	}
}

func FuzzParseFragment(f *testing.F) {
	f.Add("# why\nCONFIG_NET=y\n# CONFIG_SWAP is not set\nCONFIG_X=\"a\\\"b\"\n")
	f.Add("CONFIG_A=0x10\n\n")
	f.Fuzz(func(t *testing.T, in string) {
		settings, err := ParseFragment("f", []byte(in))
		if err != nil {
			return
		}
		text := formatSettings(merge(settings))
		again, err := ParseFragment("f", text)
		if err != nil {
			t.Fatalf("ParseFragment refuses what it accepted: %v\n%s", err, text)
		}
		if diff := cmp.Diff(text, formatSettings(merge(again))); diff != "" {
			t.Errorf("settings change when written and read again:\n%s", diff)
		}
	})
}
