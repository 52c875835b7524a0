package cmdline_test

import (
	"strings"
	"testing"

	"rambox/pkg/cmdline"
)

// FuzzParse checks that no line panics, that words keep to the grammar, and
// that a line written anew from its words means the same.
func FuzzParse(f *testing.F) {
	for _, test := range grammar {
		f.Add(test.line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := cmdline.Parse(line)
		for _, arg := range args.Words {
			if arg == k("--") || arg.Value != "" && !arg.HasValue || strings.LastIndexByte(arg.Name, '=') > 0 {
				t.Errorf("Parse(%q) has the word %+v", line, arg)
			}
			if last, ok := args.Lookup(arg.Name); !ok || arg.HasValue && !last.HasValue && len(args.Values(arg.Name)) == 0 {
				t.Errorf("Parse(%q).Lookup(%q) = %+v, %v", line, arg.Name, last, ok)
			}
			args.Bool(arg.Name)
			args.Int(arg.Name)
			if d, _, _ := args.Duration(arg.Name); d < 0 {
				t.Errorf("Parse(%q).Duration(%q) = %v", line, arg.Name, d)
			}
			cmdline.ParseSize(arg.Value)
		}
		for _, option := range args.ModuleParams() {
			if again := cmdline.Parse(option); len(again.Words) == 0 || again.Init != nil {
				t.Errorf("Parse(%q) gives a module %q", line, option)
			}
		}
		args.Passed(nil)

		if !closed(line) {
			return
		}
		again := rewrite(t, line, args)
		if twice := rewrite(t, again, cmdline.Parse(again)); twice != again {
			t.Errorf("%q written as %q, then as %q", line, again, twice)
		}
	})
}

// FuzzQuote checks that a word that Quote accepts comes back from between
// others, before and after the end mark.
func FuzzQuote(f *testing.F) {
	for _, word := range []string{"", "k=v", "k=a b", "a b=c", `k=a"b c"`, "--", "=", "\xa0", "k=\u00e0", "\x00"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		quoted, ok := cmdline.Quote(word)
		if !ok {
			if !strings.ContainsAny(word, "\"\x00") && word != "--" {
				t.Errorf("Quote(%q) refused", word)
			}
			return
		}
		line := "a=b " + quoted + " c -- d " + quoted + " e"
		args := cmdline.Parse(line)
		if len(args.Words) != 3 || args.Words[1].String() != word || len(args.Init) != 3 || args.Init[1] != word {
			t.Errorf("Quote(%q) = %q, in a line: %+v", word, quoted, args)
		}
	})
}
