package cmdline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/cmdline"
)

func TestLookup(t *testing.T) {
	args := cmdline.Parse("a-b=1 a_b k=1 k=2 k --k end= -- k=9 init")
	tests := []struct {
		name   string
		last   cmdline.Arg
		has    bool
		value  string
		hasVal bool
		values []string
	}{
		{name: "a_b", last: k("a_b"), has: true, value: "1", hasVal: true, values: []string{"1"}},
		{name: "a-b", last: k("a_b"), has: true, value: "1", hasVal: true, values: []string{"1"}},
		{name: "k", last: k("k"), has: true, value: "2", hasVal: true, values: []string{"1", "2"}},
		{name: "__k", last: k("--k"), has: true},
		{name: "end", last: kv("end", ""), has: true, value: "", hasVal: true, values: []string{""}},
		{name: "K"},
		{name: "kk"},
		{name: "init"},
		{name: ""},
	}
	for _, test := range tests {
		last, ok := args.Lookup(test.name)
		if last != test.last || ok != test.has {
			t.Errorf("Lookup(%q) = %+v, %v, want %+v, %v", test.name, last, ok, test.last, test.has)
		}
		if got := args.Has(test.name); got != test.has {
			t.Errorf("Has(%q) = %v, want %v", test.name, got, test.has)
		}
		value, ok := args.Value(test.name)
		if value != test.value || ok != test.hasVal {
			t.Errorf("Value(%q) = %q, %v, want %q, %v", test.name, value, ok, test.value, test.hasVal)
		}
		if diff := cmp.Diff(test.values, args.Values(test.name)); diff != "" {
			t.Errorf("Values(%q): -want +got:\n%s", test.name, diff)
		}
	}
}

func TestOver(t *testing.T) {
	tests := []struct {
		name, line, defaults string
		want                 cmdline.Args
	}{
		{
			name: "the line wins and lists hold both",
			line: "k=2 list=b", defaults: "k=1 list=a",
			want: cmdline.Args{Words: words{kv("k", "1"), kv("list", "a"), kv("k", "2"), kv("list", "b")}},
		},
		{
			name: "arguments of the line replace the defaults'",
			line: "-- a", defaults: "-- b c",
			want: cmdline.Args{Init: []string{"a"}},
		},
		{
			name: "a bare end mark takes the defaults' arguments away",
			line: "--", defaults: "-- b c",
			want: cmdline.Args{Init: []string{}},
		},
		{
			name: "without an end mark the defaults' arguments stay",
			line: "k", defaults: "-- b c",
			want: cmdline.Args{Words: words{k("k")}, Init: []string{"b", "c"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			line, defaults := cmdline.Parse(test.line), cmdline.Parse(test.defaults)
			if diff := cmp.Diff(test.want, line.Over(defaults)); diff != "" {
				t.Errorf("Parse(%q).Over(Parse(%q)): -want +got:\n%s", test.line, test.defaults, diff)
			}
			if diff := cmp.Diff(cmdline.Parse(test.line), line); diff != "" {
				t.Errorf("Over changed its receiver: -want +got:\n%s", diff)
			}
		})
	}
}
