package kernels

import (
	"bufio"
	"fmt"
	"io/fs"
	"strings"
)

// kconfig is what the Kconfig files of a kernel tree say that explains why a
// symbol is not what a fragment wants: Documentation/kbuild/kconfig-language.rst.
type kconfig struct {
	entries map[string][]*kconfigEntry // by symbol; one symbol may have several
	selects map[string][]kconfigSelect // by the symbol that is selected
}

// kconfigEntry is one "config NAME" block.
type kconfigEntry struct {
	symbol  string
	prompt  bool     // without one no fragment can set it
	depends []string // conditions, its own and those around it: all must hold
	choice  *kconfigChoice
}

// kconfigChoice is a group of symbols of which one is on.
type kconfigChoice struct {
	members []string
}

// kconfigSelect is one "select": by forces a symbol on while the condition holds.
type kconfigSelect struct {
	by, condition string
}

// kconfigDepth bounds how deep files may include each other; v6.12 goes to 6.
const kconfigDepth = 32

// readKconfig reads the Kconfig files of a tree, from the top one on, for one
// architecture directory under arch/ ("x86").
func readKconfig(tree fs.FS, srcArch string) (*kconfig, error) {
	r := kconfigReader{
		tree:    tree,
		srcArch: srcArch,
		k:       &kconfig{entries: make(map[string][]*kconfigEntry), selects: make(map[string][]kconfigSelect)},
	}
	if err := r.file("Kconfig", 0); err != nil {
		return nil, err
	}
	return r.k, nil
}

type kconfigReader struct {
	tree    fs.FS
	srcArch string
	k       *kconfig
	scopes  []*kconfigScope
	entry   *kconfigEntry // the block that the next properties belong to, if any
}

// kconfigScope is an open if, menu or choice.
type kconfigScope struct {
	depends []string
	choice  *kconfigChoice
}

func (r *kconfigReader) file(name string, depth int) error {
	if depth > kconfigDepth {
		return fmt.Errorf("read %s: files include each other more than %d deep", name, kconfigDepth)
	}
	data, err := fs.ReadFile(r.tree, name)
	if err != nil {
		return fmt.Errorf("read Kconfig files: %w", err)
	}
	open := len(r.scopes)
	for _, line := range kconfigLines(string(data)) {
		word, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		rest = strings.TrimSpace(rest)
		if word == "source" {
			r.entry = nil
			included := strings.NewReplacer("$(SRCARCH)", r.srcArch, `"`, "").Replace(rest)
			if strings.Contains(included, "$") {
				continue // only arch/um has such, and it is never ours
			}
			if err := r.file(included, depth+1); err != nil {
				return err
			}
			continue
		}
		r.line(word, rest)
	}
	// What a file leaves open would change the meaning of the files after it.
	r.scopes = r.scopes[:min(open, len(r.scopes))]
	r.entry = nil
	return nil
}

// line takes in one line that is not a source.
func (r *kconfigReader) line(word, rest string) {
	switch word {
	case "if":
		r.open(&kconfigScope{depends: []string{rest}})
	case "menu":
		r.open(&kconfigScope{})
	case "choice":
		r.open(&kconfigScope{choice: &kconfigChoice{}})
	case "endif", "endmenu", "endchoice":
		r.entry = nil
		r.scopes = r.scopes[:max(len(r.scopes)-1, 0)]
	case "config", "menuconfig":
		r.config(rest)
	case "comment", "mainmenu":
		r.entry = &kconfigEntry{}
	case "depends":
		r.depend(strings.TrimSpace(strings.TrimPrefix(rest, "on")))
	case "visible":
		r.depend(strings.TrimSpace(strings.TrimPrefix(rest, "if")))
	case "bool", "tristate", "int", "hex", "string", "prompt":
		r.prompt(rest)
	case "select":
		symbol, condition := cutIf(rest)
		if r.entry != nil {
			r.k.selects[symbol] = append(r.k.selects[symbol], kconfigSelect{by: r.entry.symbol, condition: condition})
		}
	}
}

func (r *kconfigReader) open(s *kconfigScope) {
	r.entry = nil
	r.scopes = append(r.scopes, s)
}

func (r *kconfigReader) config(symbol string) {
	r.entry = &kconfigEntry{symbol: symbol}
	for _, s := range r.scopes {
		r.entry.depends = append(r.entry.depends, s.depends...)
		if s.choice != nil {
			r.entry.choice = s.choice
			s.choice.members = append(s.choice.members, symbol)
		}
	}
	r.k.entries[symbol] = append(r.k.entries[symbol], r.entry)
}

// depend adds a condition to the open block, or to the menu or choice around.
func (r *kconfigReader) depend(condition string) {
	switch {
	case r.entry != nil:
		r.entry.depends = append(r.entry.depends, condition)
	case len(r.scopes) > 0:
		s := r.scopes[len(r.scopes)-1]
		s.depends = append(s.depends, condition)
	}
}

// prompt takes in a type or prompt line: "Text" if CONDITION. A choice's own
// prompt is of no interest.
func (r *kconfigReader) prompt(rest string) {
	if r.entry == nil || rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return
	}
	r.entry.prompt = true
	if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 {
		if _, condition := cutIf(rest[end+2:]); condition != "" {
			r.entry.depends = append(r.entry.depends, condition)
		}
	}
}

// cutIf splits "X if CONDITION".
func cutIf(s string) (before, condition string) {
	before, condition, _ = strings.Cut(" "+s+" ", " if ")
	return strings.TrimSpace(before), strings.TrimSpace(condition)
}

// kconfigLines are the lines that mean something: without comments and help
// texts, continued lines joined, spaces around them cut off.
func kconfigLines(text string) []string {
	var lines []string
	var joined string
	const outside, begins = -1, 0
	help := outside // or, inside a help text, its indentation once that is known
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if help != outside {
			indent := indentation(sc.Text())
			switch {
			case line == "":
				continue
			case help == begins && indent > 0:
				help = indent
				continue
			case help > 0 && indent >= help:
				continue
			}
			help = outside
		}
		if before, ok := strings.CutSuffix(line, `\`); ok {
			joined += before
			continue
		}
		line, joined = cutComment(joined+line), ""
		switch line {
		case "":
		case "help", "---help---":
			help = begins
		default:
			lines = append(lines, line)
		}
	}
	return lines
}

// cutComment cuts off a comment, which a quote keeps from beginning.
func cutComment(line string) string {
	var quote rune
	for i, c := range line {
		switch {
		case quote == 0 && c == '#':
			return strings.TrimSpace(line[:i])
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return line
}

// indentation is the width of the blanks before a line, with tabs of 8.
func indentation(line string) int {
	n := 0
	for _, c := range line {
		switch c {
		case ' ':
			n++
		case '\t':
			n = n/8*8 + 8
		default:
			return n
		}
	}
	return n
}
