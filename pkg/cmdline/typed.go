package cmdline

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Bool returns the truth of the last word of that name. As for the kernel's
// own switches (param_set_bool, kernel/params.c, and kstrtobool,
// lib/kstrtox.c, v6.12) a word without a value is true, and of a value only
// the beginning counts, in capitals or not: y, t, 1 and on are true; n, f, 0
// and of are false. Other values are an error that names the word.
//
// ok is false if there is no such word, and with every error.
func (a Args) Bool(name string) (value, ok bool, err error) {
	arg, ok := a.Lookup(name)
	if !ok {
		return false, false, nil
	}
	if !arg.HasValue {
		return true, true, nil
	}
	first := strings.ToLower(arg.Value[:min(2, len(arg.Value))])
	switch {
	case first == "":
	case strings.Contains("yt1", first[:1]), first == "on":
		return true, true, nil
	case strings.Contains("nf0", first[:1]), first == "of":
		return false, true, nil
	}
	return false, false, badValue(arg, "1, y, yes, on, true, t or 0, n, no, off, false, f")
}

// Int returns the last value of that name as a 32-bit integer in the kernel's
// notation (kstrtoint with base 0, lib/kstrtox.c, v6.12): an optional sign,
// then decimal digits, octal ones after a 0, or hexadecimal ones after 0x.
//
// ok is false if there is no such word, and with every error. A name that
// never has a value is an error.
func (a Args) Int(name string) (value int, ok bool, err error) {
	arg, ok := a.lastValue(name)
	if !ok {
		return 0, false, nil
	}
	digits, negative := strings.CutPrefix(arg.Value, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	limit := uint64(math.MaxInt32)
	if negative {
		limit++
	}
	n, err := parseUint(digits)
	if err != nil || n > limit {
		return 0, false, badValue(arg, "an integer of 32 bits")
	}
	if negative {
		return int(-int64(n)), true, nil
	}
	return int(n), true, nil
}

// Duration returns the last value of that name as a time span: decimal digits
// are seconds ("30"); anything else is as [time.ParseDuration] has it ("1m30s",
// "500ms"). A negative span is an error.
//
// ok is false if there is no such word, and with every error. A name that
// never has a value is an error.
func (a Args) Duration(name string) (value time.Duration, ok bool, err error) {
	arg, ok := a.lastValue(name)
	if !ok {
		return 0, false, nil
	}
	span := arg.Value
	if strings.Trim(span, "0123456789") == "" {
		span += "s"
	}
	value, err = time.ParseDuration(span)
	if err != nil || value < 0 {
		return 0, false, badValue(arg, `seconds such as "30" or a span such as "1m30s", not negative`)
	}
	return value, true, nil
}

// ParseSize reads a number of bytes as memparse does (lib/cmdline.c, v6.12):
// decimal, octal after a 0, or hexadecimal after 0x, then K, M, G, T, P or E in
// either case for a power of 1024. Where memparse stops or wraps, it returns an
// error: for other bytes before or after the number, and beyond 64 bits.
func ParseSize(size string) (uint64, error) {
	digits, shift := size, 0
	suffixes := "KMGTPE"
	if isHex(size) {
		suffixes = "KMGTP" // the E of 0x1E is a digit
	}
	if last := len(size) - 1; last >= 0 {
		if i := strings.IndexByte(suffixes, size[last]&^0x20); i >= 0 {
			digits, shift = size[:last], 10*(i+1)
		}
	}
	n, err := parseUint(digits)
	if err != nil || bits.Len64(n)+shift > 64 {
		return 0, errors.New("size " + strconv.Quote(size) + ": want bytes below 2^64, such as 4096, 64M or 2G")
	}
	return n << shift, nil
}

// parseUint reads digits with the radix that _parse_integer_fixup_radix,
// lib/kstrtox.c (v6.12), finds. Unlike strconv's base 0 it knows neither 0b
// and 0o nor underscores.
func parseUint(s string) (uint64, error) {
	switch {
	case isHex(s):
		return strconv.ParseUint(s[2:], 16, 64)
	case strings.HasPrefix(s, "0"):
		return strconv.ParseUint(s, 8, 64)
	}
	return strconv.ParseUint(s, 10, 64)
}

func isHex(s string) bool {
	return strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X")
}

func badValue(arg Arg, want string) error {
	return errors.New("parameter " + strconv.Quote(arg.String()) + ": want " + want)
}
