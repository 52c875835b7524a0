package cmdline

import "strings"

// Quote writes a word ("k" or "k=v", split as the grammar splits it) so that
// [Parse] gives it back, whatever words stand around it. It adds quotes only
// where they are needed.
//
// ok is false for what no line can carry, at least not before other words: a
// NUL byte, "--", and some words that hold both quotes and white space, such as
// k="b c". Every other word can be written.
func Quote(word string) (quoted string, ok bool) {
	arg := split(word)
	// Every place where the grammar takes a quote away, the usual ones first.
	const q = `"`
	for _, quotes := range [...]struct{ word, value, end string }{
		{"", "", ""}, {"", q, q}, {q, "", q}, {q, "", ""}, {"", q, ""}, {q, q, ""}, {q, q, q},
	} {
		quoted = quotes.word + arg.Name
		if arg.HasValue {
			quoted += "=" + quotes.value + arg.Value
		}
		quoted += quotes.end
		if carries(quoted, arg) {
			return quoted, true
		}
	}
	return "", false
}

// carries reports whether text is arg to the parser and leaves the next word
// alone.
func carries(text string, arg Arg) bool {
	next := Arg{Name: "next"}
	words := Parse(text + " " + next.Name).Words
	return len(words) == 2 && words[0] == arg && words[1] == next
}

// split divides a word without quotes around it into name and value.
func split(word string) Arg {
	equals := strings.IndexByte(word[min(1, len(word)):], '=')
	if equals < 0 {
		return Arg{Name: word}
	}
	return Arg{Name: word[:equals+1], Value: word[equals+2:], HasValue: true}
}
