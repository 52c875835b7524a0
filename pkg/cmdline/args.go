package cmdline

import "slices"

// Over returns the line that has the words of defaults first and then those of
// a. Where the last word wins, a wins; lists hold both. Init is that of a if a
// has a "--", else that of defaults.
func (a Args) Over(defaults Args) Args {
	merged := Args{Words: slices.Concat(defaults.Words, a.Words), Init: a.Init}
	if a.Init == nil {
		merged.Init = defaults.Init
	}
	return merged
}

// Lookup returns the last word of that name, with or without a value.
func (a Args) Lookup(name string) (Arg, bool) {
	for _, arg := range slices.Backward(a.Words) {
		if sameName(arg.Name, name) {
			return arg, true
		}
	}
	return Arg{}, false
}

// Has reports whether a word of that name is there, with or without a value.
func (a Args) Has(name string) bool {
	_, ok := a.Lookup(name)
	return ok
}

// Value returns the value of the last word of that name that has one: "1" for
// "k=1 k". It is how the kernel treats a parameter that needs a value: it
// refuses the second word and keeps the value of the first (parse_one,
// kernel/params.c, v6.12). Where "k" alone means something, use [Args.Lookup].
func (a Args) Value(name string) (string, bool) {
	arg, _ := a.lastValue(name)
	return arg.Value, arg.HasValue
}

// Values returns every value of that name in order, for parameters that may
// be repeated, such as console= and ip=. Words without a value are left out.
// A value is not split at commas.
func (a Args) Values(name string) []string {
	var values []string
	for _, arg := range a.Words {
		if arg.HasValue && sameName(arg.Name, name) {
			values = append(values, arg.Value)
		}
	}
	return values
}

// lastValue returns the last word of that name that has a value, or, if none
// has one, the last of that name.
func (a Args) lastValue(name string) (last Arg, ok bool) {
	for _, arg := range slices.Backward(a.Words) {
		if !sameName(arg.Name, name) {
			continue
		}
		if arg.HasValue {
			return arg, true
		}
		if !ok {
			last, ok = arg, true
		}
	}
	return last, ok
}

// sameName is parameq, kernel/params.c (v6.12).
func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if underscore(a[i]) != underscore(b[i]) {
			return false
		}
	}
	return true
}

func underscore(c byte) byte {
	if c == '-' {
		return '_'
	}
	return c
}
