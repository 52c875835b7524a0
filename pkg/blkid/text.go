package blkid

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// space is what isspace(3) has in the C locale.
const space = " \t\n\v\f\r"

// text is a string of bytes that a NUL or the end of its field ends, without white space at its end.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return strings.TrimRight(string(b), space)
}

// utf16LE and utf16BE are the index of the high byte in a unit of UTF-16.
const (
	utf16LE = 1
	utf16BE = 0
)

// text16 is text for UTF-16 with the high bytes at index high, in UTF-8. What is not valid becomes U+FFFD.
func text16(b []byte, high int) string {
	var out []byte
	for unit, rest := unit16(b, high); unit != 0; unit, rest = unit16(rest, high) {
		out = utf8.AppendRune(out, unit)
	}
	return text(out)
}

// unit16 decodes the first code point of b. At the end it is 0.
func unit16(b []byte, high int) (r rune, rest []byte) {
	if len(b) < 2 {
		return 0, nil
	}
	r, rest = rune(b[high])<<8|rune(b[1-high]), b[2:]
	if r >= 0xd800 && r < 0xdc00 && len(rest) >= 2 {
		if low := rune(rest[high])<<8 | rune(rest[1-high]); low >= 0xdc00 && low < 0xe000 {
			return 0x10000 + (r-0xd800)<<10 + low - 0xdc00, rest[2:]
		}
	}
	return r, rest
}

const (
	lower = "0123456789abcdef"
	upper = "0123456789ABCDEF"
)

// The orders in which the bytes of an identifier are written, with its dashes.
const (
	uuidOrder   = "\x00\x01\x02\x03-\x04\x05-\x06\x07-\x08\x09-\x0a\x0b\x0c\x0d\x0e\x0f" // RFC 9562
	guidOrder   = "\x03\x02\x01\x00-\x05\x04-\x07\x06-\x08\x09-\x0a\x0b\x0c\x0d\x0e\x0f" // UEFI 2.10, appendix A
	serialOrder = "\x03\x02-\x01\x00"                                                    // DOS
	wordOrder   = "\x03\x02\x01\x00"
	quadOrder   = "\x07\x06\x05\x04\x03\x02\x01\x00"
)

// id writes an identifier in hexadecimal digits. One that is all zero is none.
//
// Inlined, this and the other small functions of the package would make init 16 KB larger.
//
//go:noinline
func id(b []byte, order, digits string) string {
	if zero(b) {
		return ""
	}
	out := make([]byte, 0, 36)
	for _, i := range []byte(order) {
		if i == '-' {
			out = append(out, '-')
		} else {
			out = append(out, digits[b[i]>>4], digits[b[i]&15])
		}
	}
	return string(out)
}

//go:noinline
func uuid(b []byte) string {
	return id(b, uuidOrder, lower)
}

//go:noinline
func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// version is "1.0".
func version(major, minor uint32) string {
	return strconv.FormatUint(uint64(major), 10) + "." + strconv.FormatUint(uint64(minor), 10)
}
