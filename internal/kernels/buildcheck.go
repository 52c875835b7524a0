package kernels

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// checkSettings compares what the fragments want with the configuration that
// kconfig made of it. For kconfig drops without a word what it cannot set: a symbol
// whose dependencies are off, that another one selects, that this version has not.
// The error has one line for each symbol that is not as wanted, with the fragment's
// line and the reason, read from the Kconfig files of tree (srcArch is the directory
// under arch/: "x86"). An optional symbol may be one that this source does not have
// or that nobody can choose there.
func checkSettings(want []Setting, got Config, tree fs.FS, srcArch string) error {
	var lost []Setting
	for _, s := range want {
		if got.State(s.Symbol) != s.text() {
			lost = append(lost, s)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	k, err := readKconfig(tree, srcArch)
	if err != nil {
		return fmt.Errorf("%d symbols were not taken, %s first: %w", len(lost), lost[0].Symbol, err)
	}
	var lines []string
	for _, s := range lost {
		if s.Optional && !k.canChoose(s.Symbol) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: CONFIG_%s=%s became %s: %s",
			s.Where(), s.Symbol, s.Value, got.State(s.Symbol), k.explain(s, got)))
	}
	if lines == nil {
		return nil
	}
	return fmt.Errorf("the kernel's configuration did not take what the fragments want:\n\t%s", strings.Join(lines, "\n\t"))
}

// canChoose reports whether a fragment can set a symbol in this source at all.
func (k *kconfig) canChoose(symbol string) bool {
	return slices.ContainsFunc(k.entries[symbol], func(e *kconfigEntry) bool { return e.prompt })
}

// explain says why a symbol has not the wanted value.
func (k *kconfig) explain(s Setting, got Config) string {
	entries := k.entries[s.Symbol]
	if len(entries) == 0 {
		return "this source has no such symbol"
	}
	if s.Value == "n" {
		if by := k.selectors(s.Symbol, got, true); by != "" {
			return "it is selected by " + by
		}
	}
	var unmet []string
	var entry *kconfigEntry // of those with a prompt the one that is nearest to being visible
	for _, e := range entries {
		if !e.prompt {
			continue
		}
		if missing := unmetConditions(e.depends, got); entry == nil || len(missing) < len(unmet) {
			unmet, entry = missing, e
		}
	}
	switch {
	case entry == nil:
		return k.noPrompt(s.Symbol, got)
	case len(unmet) > 0:
		return "needs " + strings.Join(k.describe(unmet, got), " and ")
	case entry.choice != nil:
		return "its choice has " + entry.choice.taken(got)
	}
	return "all symbols that it depends on are on; perhaps " + entry.guess()
}

// guess says what else there is that keeps a symbol from its value.
func (e *kconfigEntry) guess() string {
	for _, condition := range e.depends {
		if strings.Contains(condition, "$(") {
			return "the compiler does not give " + condition
		}
	}
	return "the value is out of range, or another symbol sets it"
}

// unmetConditions are the conjuncts that do not hold, each once, as text.
// A condition that cannot be read is not one to blame.
func unmetConditions(depends []string, got Config) []string {
	var unmet []string
	seen := make(map[string]bool)
	for _, text := range depends {
		e, err := parseExpr(text)
		if err != nil {
			continue
		}
		for _, c := range e.conjuncts() {
			if s := c.String(); c.eval(got) != yes && !seen[s] {
				seen[s] = true
				unmet = append(unmet, s)
			}
		}
	}
	return unmet
}

// describe adds to each condition what the symbols in it are.
func (k *kconfig) describe(conditions []string, got Config) []string {
	described := make([]string, len(conditions))
	for i, text := range conditions {
		described[i] = text
		e, err := parseExpr(text)
		if err != nil {
			continue
		}
		var states []string
		for _, symbol := range e.symbols() {
			states = append(states, k.state(symbol, got))
		}
		described[i] += " (" + strings.Join(states, ", ") + ")"
	}
	return described
}

// state is "NET is n", with what could set it where no fragment can.
func (k *kconfig) state(symbol string, got Config) string {
	value := got.State(symbol)
	text := symbol + " is " + value
	if value != "n" {
		return text
	}
	entries := k.entries[symbol]
	if len(entries) == 0 {
		return text + ", unknown here"
	}
	for _, e := range entries {
		if e.prompt {
			return text
		}
	}
	return text + ": " + k.noPrompt(symbol, got)
}

func (k *kconfig) noPrompt(symbol string, got Config) string {
	if by := k.selectors(symbol, got, false); by != "" {
		return "no fragment can set it, only " + by
	}
	return "no fragment can set it"
}

// selectorsShown bounds the list of symbols that select one.
const selectorsShown = 6

// selectors lists the symbols that select one: those that do now, or all.
func (k *kconfig) selectors(symbol string, got Config, active bool) string {
	var by []string
	for _, s := range k.selects[symbol] {
		if active && got.State(s.by) == "n" {
			continue
		}
		if active && s.condition != "" && len(unmetConditions([]string{s.condition}, got)) > 0 {
			continue
		}
		if len(by) == selectorsShown {
			by = append(by, "…")
			break
		}
		by = append(by, s.by)
	}
	return strings.Join(by, ", ")
}

// taken names the member of the choice that is on.
func (c *kconfigChoice) taken(got Config) string {
	for _, m := range c.members {
		if got.State(m) == "y" {
			return m
		}
	}
	return "no member on"
}
