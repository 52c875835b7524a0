package kmod

// match reports whether the pattern, as in fnmatch(3) without flags, matches the whole of s. '-' and '_' are equal
// everywhere but inside brackets, where only s is changed: libkmod matches after alias_normalize. A bracket that never
// closes matches nothing; depmod drops such aliases.
func match(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0 // after the last '*', and where the match of what follows it began
	for {
		for p < len(pattern) && i < len(s) && pattern[p] == s[i] && !special(pattern[p]) {
			p++
			i++
		}
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, mark = p, skipTo(pattern[p:], s, i)
			i = mark
			continue
		}
		if p < len(pattern) && i < len(s) {
			if n := matchOne(pattern[p:], fold(s[i])); n > 0 {
				p += n
				i++
				continue
			}
		}
		if p == len(pattern) && i == len(s) {
			return true
		}
		if star < 0 || mark >= len(s) {
			return false
		}
		mark = skipTo(pattern[star:], s, mark+1) // the last '*' takes more
		p, i = star, mark
	}
}

// skipTo returns the first position in s, from i on, where what follows a '*' can begin to match: the end if nothing
// follows, the next occurrence of a literal byte, or i.
func skipTo(pattern, s string, i int) int {
	if pattern == "" {
		return len(s)
	}
	c := fold(pattern[0])
	if special(c) {
		return i
	}
	for i < len(s) && s[i] != c && fold(s[i]) != c {
		i++
	}
	return i
}

// special reports whether c is not a literal in a pattern.
func special(c byte) bool { return c == '*' || c == '?' || c == '[' || c == '\\' }

// matchOne matches c with the element that pattern begins with, which is not '*', and returns the element's length, or 0
// if they do not match.
func matchOne(pattern string, c byte) int {
	switch pattern[0] {
	case '?':
		return 1
	case '[':
		return matchBracket(pattern, c)
	case '\\':
		if len(pattern) > 1 && fold(pattern[1]) == c {
			return 2
		}
	default:
		if fold(pattern[0]) == c {
			return 1
		}
	}
	return 0
}

// matchBracket does matchOne for "[abc]", "[a-c]", "[!a]" and "[^a]".
func matchBracket(pattern string, c byte) int {
	i := 1
	negated := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negated {
		i++
	}
	found := false
	for first := i; i < len(pattern) && (pattern[i] != ']' || i == first); i++ {
		low, high := pattern[i], pattern[i]
		if i+2 < len(pattern) && pattern[i+1] == '-' && pattern[i+2] != ']' {
			high = pattern[i+2]
			i += 2
		}
		if low <= c && c <= high {
			found = true
		}
	}
	if i >= len(pattern) || found == negated {
		return 0
	}
	return i + 1
}
