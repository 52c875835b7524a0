// Package cmdline reads and writes the Linux kernel command line by the
// kernel's own grammar: next_arg in lib/cmdline.c and parse_args in
// kernel/params.c (v6.12). It does no I/O and accepts any input.
//
// The grammar in short:
//
//   - Words are separated by white space: bytes 9 to 13, 32 and 0xA0
//     (lib/ctype.c). 0xA0 counts even inside a UTF-8 sequence, so "à" (C3 A0)
//     ends a word unless it is quoted.
//   - A double quote opens and closes anywhere in a word, and white space
//     between two quotes separates nothing. Nothing escapes a quote, and a
//     single quote is an ordinary byte. A quote left open runs to the end.
//   - The first '=' that is not the word's first byte splits name and value.
//     "k" has no value; "k=" has an empty one.
//   - A quote before the word goes, and so does a quote before the value; if
//     either was there, one quote at the word's end goes too. All other quotes
//     stay: a=b"c d"e has the value b"c d"e.
//   - In names, and only there, '-' equals '_'.
//   - A word "--" without a value, quoted or not, ends the parameters. What
//     follows is init's, by the same grammar, up to another "--".
//   - A NUL byte ends the line.
package cmdline

import "strings"

// Arg is one word of the line. "k" has HasValue false; "k=" has it true and
// an empty Value. Name is as written: "a-b" and "a_b" are both kept.
type Arg struct {
	Name     string
	Value    string
	HasValue bool
}

// String returns the word as the kernel hands it to init (repair_env_string,
// init/main.c, v6.12): "k" or "k=v", without the quotes that the grammar
// removes. See [Quote] for a form that can be parsed again.
func (a Arg) String() string {
	if !a.HasValue {
		return a.Name
	}
	return a.Name + "=" + a.Value
}

// Args is a parsed line. Its methods leave it unchanged, but may share its
// memory with what they return.
type Args struct {
	// Words are the parameters, in order.
	Words []Arg

	// Init are the arguments after "--", each as [Arg.String] gives it. It is
	// nil if the line has no "--", and empty but not nil if nothing follows it.
	// The kernel drops them all if a built-in parameter before "--" has a bad
	// value, because parse_args then returns the error, not the rest.
	Init []string
}

// Parse reads a command line. Every input has a meaning, so there is no error.
//
// /proc/cmdline adds a newline that is not part of the line. It matters after
// a quote left open, so cut that one byte off first:
//
//	args := cmdline.Parse(strings.TrimSuffix(raw, "\n"))
func Parse(line string) Args {
	line, _, _ = strings.Cut(line, "\x00")
	const commonWords = 16 // most lines fit, so the slice is made once
	args := Args{Words: make([]Arg, 0, commonWords)}
	var arg Arg
	for rest := skipSpaces(line); rest != ""; {
		arg, rest = nextArg(rest)
		switch {
		case arg != Arg{Name: "--"}:
			if args.Init == nil {
				args.Words = append(args.Words, arg)
			} else {
				args.Init = append(args.Init, arg.String())
			}
		case args.Init == nil:
			args.Init = []string{}
		default:
			// start_kernel reads init's arguments with parse_args too, which
			// stops at "--" again. Nobody gets what follows.
			return args
		}
	}
	return args
}

// nextArg takes the first word off line, which must not begin with a space,
// and returns it with the rest after any spaces. It does what next_arg,
// lib/cmdline.c (v6.12), does.
func nextArg(line string) (arg Arg, rest string) {
	text, quoted := strings.CutPrefix(line, `"`)
	end, equals := len(text), 0
	inQuote := quoted
scan:
	for i := range len(text) {
		switch c := text[i]; {
		case isSpace(c) && !inQuote:
			end = i
			break scan
		case c == '=' && equals == 0:
			equals = i
		case c == '"':
			inQuote = !inQuote
		}
	}
	word, rest := text[:end], skipSpaces(text[end:])
	if equals == 0 {
		if quoted {
			word = strings.TrimSuffix(word, `"`)
		}
		return Arg{Name: word}, rest
	}
	value, opened := strings.CutPrefix(word[equals+1:], `"`)
	if quoted || opened {
		value = strings.TrimSuffix(value, `"`)
	}
	return Arg{Name: word[:equals], Value: value, HasValue: true}, rest
}

// isSpace is the kernel's isspace (lib/ctype.c, v6.12), which reads Latin-1.
func isSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r' || c == 0xA0
}

func skipSpaces(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}
