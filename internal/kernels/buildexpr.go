package kernels

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// The conditions of Kconfig files (Documentation/kbuild/kconfig-language.rst,
// "Expressions"), evaluated over a finished configuration.

// expr is a node of a parsed condition.
type expr struct {
	op   string // "" for a word, "!", "&&", "||", or a comparison: = != < <= > >=
	word string // a symbol, a constant, a macro "$(…)"; quotes are kept
	l, r *expr  // "!" has only l
}

// parseExpr reads a whole condition.
func parseExpr(text string) (*expr, error) {
	p := exprParser{words: exprWords(text)}
	e, err := p.or()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("unexpected %q", p.words[0])
	}
	if err != nil {
		return nil, fmt.Errorf("condition %q: %w", text, err)
	}
	return e, nil
}

// exprWords splits a condition into operators and operands.
func exprWords(text string) []string {
	var words []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		n := exprWordLen(text)
		words = append(words, text[:n])
		text = text[n:]
	}
	return words
}

func exprWordLen(text string) int {
	for _, op := range []string{"&&", "||", "!=", "<=", ">="} {
		if strings.HasPrefix(text, op) {
			return 2
		}
	}
	switch c := text[0]; {
	case c == '"' || c == '\'':
		if i := strings.IndexByte(text[1:], c); i >= 0 {
			return i + 2
		}
		return len(text)
	case strings.HasPrefix(text, "$("):
		depth := 0
		for i, c := range text {
			switch c {
			case '(':
				depth++
			case ')':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(text)
	}
	if n := strings.IndexAny(text, " \t()!=<>&|\"'$"); n > 0 {
		return n
	} else if n == 0 {
		return 1
	}
	return len(text)
}

type exprParser struct{ words []string }

// take consumes the next word if it is one of the given ones.
func (p *exprParser) take(ops ...string) (string, bool) {
	for _, op := range ops {
		if len(p.words) > 0 && p.words[0] == op {
			p.words = p.words[1:]
			return op, true
		}
	}
	return "", false
}

func (p *exprParser) or() (*expr, error) {
	l, err := p.and()
	for err == nil {
		if _, ok := p.take("||"); !ok {
			break
		}
		var r *expr
		r, err = p.and()
		l = &expr{op: "||", l: l, r: r}
	}
	return l, err
}

func (p *exprParser) and() (*expr, error) {
	l, err := p.not()
	for err == nil {
		if _, ok := p.take("&&"); !ok {
			break
		}
		var r *expr
		r, err = p.not()
		l = &expr{op: "&&", l: l, r: r}
	}
	return l, err
}

func (p *exprParser) not() (*expr, error) {
	if _, ok := p.take("!"); ok {
		l, err := p.not()
		return &expr{op: "!", l: l}, err
	}
	if _, ok := p.take("("); ok {
		e, err := p.or()
		if _, ok := p.take(")"); !ok && err == nil {
			err = fmt.Errorf("no closing parenthesis")
		}
		return e, err
	}
	l, err := p.operand()
	if err != nil {
		return nil, err
	}
	if op, ok := p.take("=", "!=", "<", "<=", ">", ">="); ok {
		r, err := p.operand()
		return &expr{op: op, l: l, r: r}, err
	}
	return l, nil
}

func (p *exprParser) operand() (*expr, error) {
	if len(p.words) == 0 {
		return nil, fmt.Errorf("an operand is missing at the end")
	}
	w := p.words[0]
	if strings.ContainsAny(w[:1], "()!=<>&|") {
		return nil, fmt.Errorf("unexpected %q", w)
	}
	if end, ok := map[byte]byte{'"': '"', '\'': '\'', '$': ')'}[w[0]]; ok && (len(w) < 2 || w[len(w)-1] != end) {
		return nil, fmt.Errorf("%q has no end", w)
	}
	p.words = p.words[1:]
	return &expr{word: w}, nil
}

// tristate values, in Kconfig's order.
const (
	no = iota
	mod
	yes
)

// eval is the value of the condition under a configuration. A macro, whose
// value only make knows, counts as yes.
func (e *expr) eval(c Config) int {
	switch e.op {
	case "":
		switch e.value(c) {
		case "y":
			return yes
		case "m":
			return mod
		}
		return no
	case "!":
		return yes - e.l.eval(c)
	case "&&":
		return min(e.l.eval(c), e.r.eval(c))
	case "||":
		return max(e.l.eval(c), e.r.eval(c))
	}
	if compare(e.op, e.l.value(c), e.r.value(c)) {
		return yes
	}
	return no
}

// value is the value of a word: its own for a constant, the configuration's for
// a symbol ("n" when it has none).
func (e *expr) value(c Config) string {
	switch w := e.word; {
	case w == "y" || w == "m" || w == "n":
		return w
	case strings.HasPrefix(w, "$("):
		return "y"
	case isNumber(w):
		return w
	case strings.ContainsAny(w[:1], `"'`):
		return strings.Trim(w, `"'`)
	default:
		return c.State(w)
	}
}

func isNumber(w string) bool {
	return strings.Trim(w, "0123456789") == "" || strings.HasPrefix(w, "0x")
}

// compare is expr_calc_value in scripts/kconfig/expr.c: by number where both
// sides are numbers, by text otherwise.
func compare(op, a, b string) bool {
	order := strings.Compare(a, b)
	x, errX := strconv.ParseInt(a, 0, 64)
	y, errY := strconv.ParseInt(b, 0, 64)
	if errX == nil && errY == nil {
		order = cmp.Compare(x, y)
	}
	switch op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// conjuncts are the conditions that must all hold for e to hold.
func (e *expr) conjuncts() []*expr {
	if e.op == "&&" {
		return append(e.l.conjuncts(), e.r.conjuncts()...)
	}
	return []*expr{e}
}

// symbols are the symbols in e, each once, in order.
func (e *expr) symbols() []string {
	var all []string
	seen := make(map[string]bool)
	var walk func(*expr)
	walk = func(e *expr) {
		if e == nil {
			return
		}
		constant := e.word == "y" || e.word == "m" || e.word == "n" || isNumber(e.word)
		if isSymbol(e.word) && !constant && !seen[e.word] {
			seen[e.word] = true
			all = append(all, e.word)
		}
		walk(e.l)
		walk(e.r)
	}
	walk(e)
	return all
}

func (e *expr) String() string {
	switch e.op {
	case "":
		return e.word
	case "!":
		return "!" + e.l.operandString()
	case "&&", "||":
		return e.l.operandString() + " " + e.op + " " + e.r.operandString()
	}
	return e.l.String() + e.op + e.r.String()
}

// operandString puts what binds less tightly into parentheses.
func (e *expr) operandString() string {
	if e.op == "&&" || e.op == "||" {
		return "(" + e.String() + ")"
	}
	return e.String()
}
