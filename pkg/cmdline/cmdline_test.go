package cmdline_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/cmdline"
)

func k(name string) cmdline.Arg { return cmdline.Arg{Name: name} }

func kv(name, value string) cmdline.Arg {
	return cmdline.Arg{Name: name, Value: value, HasValue: true}
}

type words = []cmdline.Arg

// grammar holds what next_arg and parse_args of v6.12 make of each line.
var grammar = []struct {
	line  string
	words words
	init  []string
}{
	// Nothing, and the usual.
	{line: ""},
	{line: " \t\n"},
	{line: "root=/dev/vda1 ro quiet", words: words{kv("root", "/dev/vda1"), k("ro"), k("quiet")}},
	{line: "k k=", words: words{k("k"), kv("k", "")}},

	// Equals signs.
	{line: "=", words: words{k("=")}},
	{line: "==", words: words{kv("=", "")}},
	{line: "=x", words: words{k("=x")}},
	{line: "=y=z", words: words{kv("=y", "z")}},
	{line: "==v", words: words{kv("=", "v")}},
	{line: "a2==b", words: words{kv("a2", "=b")}},
	{line: `"="`, words: words{k("=")}},
	{line: `"p=q"=r`, words: words{kv("p", `q"=r`)}},

	// A quote before the value.
	{line: `foo1="bar baz"`, words: words{kv("foo1", "bar baz")}},
	{line: `a="b c"d`, words: words{kv("a", "b c\"d")}},
	{line: `k3="v"w"x"`, words: words{kv("k3", `v"w"x`)}},
	{line: `k4=""`, words: words{kv("k4", "")}},
	{line: `k4=" "`, words: words{kv("k4", " ")}},
	{line: `a=""b`, words: words{kv("a", `"b`)}},
	{line: `a="`, words: words{kv("a", "")}},
	{line: `a=" b`, words: words{kv("a", " b")}},
	{line: `a="b" c`, words: words{kv("a", "b"), k("c")}},

	// Quotes elsewhere in the word.
	{line: `a1=b"c d"e`, words: words{kv("a1", `b"c d"e`)}},
	{line: `a=b"c d"`, words: words{kv("a", `b"c d"`)}},
	{line: `e"f g"h`, words: words{k(`e"f g"h`)}},
	{line: `a"=b c"=d`, words: words{kv(`a"`, `b c"=d`)}},
	{line: `'i j'`, words: words{k("'i"), k("j'")}},
	{line: `\"n o\"`, words: words{k(`\"n o\"`)}},

	// A quote before the word.
	{line: `"`, words: words{k("")}},
	{line: `""`, words: words{k("")}},
	{line: `"""`, words: words{k(`"`)}},
	{line: `" "`, words: words{k(" ")}},
	{line: `""c`, words: words{k(`"c`)}},
	{line: `"a b"`, words: words{k("a b")}},
	{line: `"a b`, words: words{k("a b")}},
	{line: `"x"y`, words: words{k(`x"y`)}},
	{line: `"a"b c"d"`, words: words{k(`a"b`), k(`c"d"`)}},
	{line: `"foo=bar baz"`, words: words{kv("foo", "bar baz")}},
	{line: `"k1=a"b`, words: words{kv("k1", `a"b`)}},
	{line: `"foo2="bar baz""`, words: words{kv("foo2", "bar"), k(`baz""`)}},
	{line: `"k2="a"b c"`, words: words{kv("k2", `a"b c`)}},
	{line: `"a="`, words: words{kv("a", "")}},
	{line: `"a=" b`, words: words{kv("a", ""), k("b")}},
	{line: `"a=""`, words: words{kv("a", "")}},
	{line: `"a="b""`, words: words{kv("a", `b"`)}},

	// White space.
	{line: "\t t1 \tt2\vt3\ft4\rt5\xa0t6 ", words: words{k("t1"), k("t2"), k("t3"), k("t4"), k("t5"), k("t6")}},
	{line: "a\nb", words: words{k("a"), k("b")}},
	{line: "\xa0a", words: words{k("a")}},
	{line: "\u00e0u", words: words{k("\xc3"), k("u")}},
	{line: "\"\u00e0v\"", words: words{k("\u00e0v")}},
	{line: "w=\u00e9\x85\x1c\x7f", words: words{kv("w", "\u00e9\x85\x1c\x7f")}},
	{line: "a=\"b\n", words: words{kv("a", "b\n")}},
	{line: "a b\x00c d", words: words{k("a"), k("b")}},
	{line: "\"a b\x00\" d", words: words{k("a b")}},
	{line: "a= b", words: words{kv("a", ""), k("b")}},
	{line: "a =b", words: words{k("a"), k("=b")}},

	// Names are kept as they are.
	{line: "n-a=1 n_a=2 n-a=3", words: words{kv("n-a", "1"), kv("n_a", "2"), kv("n-a", "3")}},
	{line: `r=1 s=2 r="3 4"`, words: words{kv("r", "1"), kv("s", "2"), kv("r", "3 4")}},
	{line: "HOME=/zq TERM=", words: words{kv("HOME", "/zq"), kv("TERM", "")}},
	{
		line:  `zq.opt=1 "zq.o p" .=1 . f=1.5`,
		words: words{kv("zq.opt", "1"), k("zq.o p"), kv(".", "1"), k("."), kv("f", "1.5")},
	},
	{line: "lost init=/zq lost", words: words{k("lost"), kv("init", "/zq"), k("lost")}},
	{line: "rdinit=/init init kept=1", words: words{kv("rdinit", "/init"), k("init"), kv("kept", "1")}},

	// The end mark.
	{line: "--", init: []string{}},
	{line: " -- ", init: []string{}},
	{line: `"--"`, init: []string{}},
	{line: `"--`, init: []string{}},
	{line: "--x --= - ---", words: words{k("--x"), kv("--", ""), k("-"), k("---")}},
	{line: "a --\x00b", words: words{k("a")}, init: []string{}},
	{line: "a -- b", words: words{k("a")}, init: []string{"b"}},
	{line: "a -- b -- c", words: words{k("a")}, init: []string{"b"}},
	{line: "-- --", init: []string{}},
	{line: `a=" -- b`, words: words{kv("a", " -- b")}},
	{line: `"open=word -- "`, words: words{kv("open", "word -- ")}},
	{line: `end="quoted "--" end`, words: words{kv("end", `quoted "--" end`)}},
	{
		line: `-- s t=u "v w" x="y z" "=" --x "" zz="open -- end `,
		init: []string{"s", "t=u", "v w", "x=y z", "=", "--x", "", "zz=open -- end "},
	},
	{
		line: `"--" init=/zq rdinit=/zq HOME=/zq k.dot k="" "" "--" lost lost=1`,
		init: []string{"init=/zq", "rdinit=/zq", "HOME=/zq", "k.dot", "k=", ""},
	},
}

func TestParse(t *testing.T) {
	for _, test := range grammar {
		want := cmdline.Args{Words: append(words{}, test.words...), Init: test.init}
		if diff := cmp.Diff(want, cmdline.Parse(test.line)); diff != "" {
			t.Errorf("Parse(%q): -want +got:\n%s", test.line, diff)
		}
	}
}

// TestAwkward keeps testdata/awkward.txt fit for booting a kernel with it.
// Lines that follow each other make one boot line; an empty line ends it. The
// kernel parses each line as TestParse has it, alone or joined with spaces.
func TestAwkward(t *testing.T) {
	const maxLine, maxArgs, maxEnv = 2000, 32, 33
	known := map[string]bool{}
	for _, test := range grammar {
		known[test.line] = true
	}
	raw, err := os.ReadFile("testdata/awkward.txt")
	if err != nil {
		t.Fatal(err)
	}
	for group := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\n"), "\n\n") {
		want := cmdline.Args{Words: words{}}
		for line := range strings.SplitSeq(group, "\n") {
			if !known[line] {
				t.Errorf("%q is not in the table of TestParse", line)
			}
			args := cmdline.Parse(line)
			want = cmdline.Args{Words: append(want.Words, args.Words...), Init: args.Init}
		}
		boot := strings.ReplaceAll(group, "\n", " ")
		got := cmdline.Parse(boot)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("joined lines, -want +got:\n%s", diff)
		}
		argv, env := got.Passed(nil)
		if len(boot) > maxLine || len(argv) > maxArgs || len(env) > maxEnv {
			t.Errorf("too much for one boot: %d bytes, %d arguments, %d variables", len(boot), len(argv), len(env))
		}
	}
}

func BenchmarkParse(b *testing.B) {
	const line = "BOOT_IMAGE=/boot/vmlinuz-6.12 root=UUID=0a3407de-014b-458b-b5c1-848e92a327a3 ro quiet " +
		"console=tty0 console=ttyS0,115200n8 ip=dhcp panic=-1 rambox.payload=/app virtio_net.napi_tx=1 -- -v --name=x"
	b.ReportAllocs()
	for b.Loop() {
		cmdline.Parse(line)
	}
}
