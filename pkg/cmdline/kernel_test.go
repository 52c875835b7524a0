package cmdline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/cmdline"
)

func TestModuleParams(t *testing.T) {
	tests := []struct {
		name, line string
		want       map[string]string
	}{
		{name: "none", line: "root=/dev/vda quiet a=b.c", want: map[string]string{}},
		{
			name: "options in order, names made one",
			line: "snd-hda.index=1 snd_hda.power-save=0 x.debug snd-hda.index=2",
			want: map[string]string{"snd_hda": "index=1 power-save=0 index=2", "x": "debug"},
		},
		{
			name: "quotes only where they are needed",
			line: `m.a="b c" m.d="e" m.f= "m.g h" m.i=x"y z"`,
			want: map[string]string{"m": `a="b c" d=e f= "g h" i=x"y z"`},
		},
		{
			name: "the first dot ends the module",
			line: "sysctl.kernel.panic=1 m.o=1.5",
			want: map[string]string{"sysctl": "kernel.panic=1", "m": "o=1.5"},
		},
		{
			name: "ours, and names that miss a part",
			line: "rambox.payload=/app rambox.x rambox2.o=1 .o=1 m. m.=1 .",
			want: map[string]string{"rambox2": "o=1"},
		},
		{
			name: "what nothing can carry",
			line: `m.a=1 m.-- m.b=2 "m.c=a b""`,
			want: map[string]string{"m": "a=1 b=2"},
		},
		{name: "init's part", line: "-- m.o=1", want: map[string]string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, cmdline.Parse(test.line).ModuleParams()); diff != "" {
				t.Errorf("Parse(%q).ModuleParams(): -want +got:\n%s", test.line, diff)
			}
		})
	}
}

func TestPassed(t *testing.T) {
	known := func(arg cmdline.Arg) bool {
		return arg.Name == "ro" || arg.Name == "root" && arg.HasValue || arg.Name == "no_acpi"
	}
	tests := []struct {
		name, line string
		argv       []string
		env        []string
	}{
		{name: "nothing", line: "", env: []string{"HOME=/", "TERM=linux"}},
		{
			name: "unknown words only",
			line: "root=/dev/vda ro no-acpi single root A=1 BOOT_IMAGE=/vmlinuz",
			argv: []string{"single", "root"},
			env:  []string{"HOME=/", "TERM=linux", "A=1", "BOOT_IMAGE=/vmlinuz"},
		},
		{
			name: "a later variable takes the place of the earlier",
			line: "A=1 B=2 TERM=dumb A= HOME=/root a-b=1 a_b=2",
			env:  []string{"HOME=/root", "TERM=dumb", "A=", "B=2", "a-b=1", "a_b=2"},
		},
		{
			name: "dotted names go nowhere",
			line: "m.o m.o=1 . a=b.c d",
			argv: []string{"d"},
			env:  []string{"HOME=/", "TERM=linux", "a=b.c"},
		},
		{
			name: "init= drops the arguments before it",
			line: "auto A=1 init=/bin/sh b rdinit=/x c init rdinit",
			argv: []string{"c", "init", "rdinit"},
			env:  []string{"HOME=/", "TERM=linux", "A=1"},
		},
		{
			name: "all words after the end mark are arguments",
			line: `a -- ro m.o=1 init=/x "b c" B=1`,
			argv: []string{"a", "ro", "m.o=1", "init=/x", "b c", "B=1"},
			env:  []string{"HOME=/", "TERM=linux"},
		},
		{
			name: "odd names",
			line: `"" =x =y=1 =y=2 "a b" "c d=e f"`,
			argv: []string{"", "=x", "a b"},
			env:  []string{"HOME=/", "TERM=linux", "=y=2", "c d=e f"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			argv, env := cmdline.Parse(test.line).Passed(known)
			if diff := cmp.Diff(test.argv, argv); diff != "" {
				t.Errorf("Parse(%q).Passed() arguments: -want +got:\n%s", test.line, diff)
			}
			if diff := cmp.Diff(test.env, env); diff != "" {
				t.Errorf("Parse(%q).Passed() environment: -want +got:\n%s", test.line, diff)
			}
		})
	}
}
