package cmdline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/cmdline"
)

func TestQuote(t *testing.T) {
	tests := []struct {
		word string
		want string
		ok   bool
	}{
		{word: "quiet", want: "quiet", ok: true},
		{word: "k=", want: "k=", ok: true},
		{word: "k=v=w", want: "k=v=w", ok: true},
		{word: "k=b c", want: `k="b c"`, ok: true},
		{word: "k=b\xa0c", want: "k=\"b\xa0c\"", ok: true},
		{word: "k=\u00e0", want: "k=\"\u00e0\"", ok: true},
		{word: "k=a\nb", want: "k=\"a\nb\"", ok: true},
		{word: "b c", want: `"b c"`, ok: true},
		{word: "b c=d", want: `"b c=d"`, ok: true},
		{word: "=b c", want: `"=b c"`, ok: true},
		{word: "", want: `""`, ok: true},
		{word: " ", want: `" "`, ok: true},
		{word: "--x", want: "--x", ok: true},
		{word: "--=", want: "--=", ok: true},
		{word: `it's\n`, want: `it's\n`, ok: true},

		// Words with quotes.
		{word: `k=a"b c"d`, want: `k=a"b c"d`, ok: true},
		{word: `k=a b"c"`, want: `k="a b"c""`, ok: true},
		{word: `k=a b"`, ok: false},
		{word: `k=a"`, want: `"k="a""`, ok: true},
		{word: `k="`, want: `"k="""`, ok: true},
		{word: `k="a"`, want: `k=""a""`, ok: true},
		{word: `k="b c"`, ok: false},
		{word: `a b"c`, want: `"a b"c`, ok: true},
		{word: `a "b" c`, want: `"a "b" c"`, ok: true},

		{word: "--", ok: false},
		{word: "a\x00b", ok: false},
		{word: "\x00", ok: false},
	}
	for _, test := range tests {
		got, ok := cmdline.Quote(test.word)
		if got != test.want || ok != test.ok {
			t.Errorf("Quote(%q) = %q, %v, want %q, %v", test.word, got, ok, test.want, test.ok)
		}
	}
}

// TestQuoteIsComplete parses every line of up to seven of the bytes that the
// grammar cares about. Quote must be able to write all words of each, but for a
// last word with a quote left open.
func TestQuoteIsComplete(t *testing.T) {
	var extend func(line string, depth int)
	extend = func(line string, depth int) {
		for _, line := range []string{line, "-- " + line} {
			if closed(line) {
				rewrite(t, line, cmdline.Parse(line))
			}
		}
		if depth == 0 {
			return
		}
		for _, c := range []string{`"`, "=", " ", "a"} {
			extend(line+c, depth-1)
		}
	}
	extend("", 7)
}

// closed reports whether line leaves no quote open, which would swallow " end".
func closed(line string) bool {
	args := cmdline.Parse(line + " end")
	if n := len(args.Init); n > 0 {
		return args.Init[n-1] == "end"
	}
	n := len(args.Words)
	return n > 0 && args.Words[n-1] == k("end")
}

// rewrite fails unless Quote can write the words of args, all of them, and
// Parse gives them back. It returns the new line.
func rewrite(t *testing.T, line string, args cmdline.Args) string {
	t.Helper()
	rewritten := ""
	add := func(word string) {
		quoted, ok := cmdline.Quote(word)
		if !ok {
			t.Fatalf("Quote(%q), a word of %q, refused", word, line)
		}
		rewritten += quoted + " "
	}
	for _, arg := range args.Words {
		add(arg.String())
	}
	if args.Init != nil {
		rewritten += "-- "
	}
	for _, word := range args.Init {
		add(word)
	}
	if diff := cmp.Diff(args, cmdline.Parse(rewritten)); diff != "" {
		t.Fatalf("%q written as %q: -want +got:\n%s", line, rewritten, diff)
	}
	return rewritten
}
