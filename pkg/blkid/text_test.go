package blkid

import (
	"encoding/binary"
	"math"
	"testing"
	"unicode/utf16"
)

func TestText16(t *testing.T) {
	for _, test := range []struct {
		name string
		in   string
		want string
	}{
		{"empty", "", ""},
		{"ASCII", "a\x00b\x00", "ab"},
		{"ends with zero", "a\x00\x00\x00b\x00", "a"},
		{"spaces at the end", " \x00a\x00 \x00\t\x00", " a"},
		{"half a unit", "a\x00b", "a"},
		{"two and three bytes", "\xe4\x00\xac\x20", "ä€"},
		{"surrogates", "\x3d\xd8\x00\xde", "😀"},
		{"high surrogate alone", "\x3d\xd8a\x00", "\ufffda"},
		{"high surrogate at the end", "\x3d\xd8", "\ufffd"},
		{"low surrogate alone", "\x00\xde", "\ufffd"},
	} {
		if got := text16([]byte(test.in), utf16LE); got != test.want {
			t.Errorf("%s: text16(%q) = %q, want %q", test.name, test.in, got, test.want)
		}
		swapped := []byte(test.in)
		for i := 0; i+1 < len(swapped); i += 2 {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		}
		if got := text16(swapped, utf16BE); got != test.want {
			t.Errorf("%s: text16(%q) = %q, want %q", test.name, swapped, got, test.want)
		}
	}
}

func TestID(t *testing.T) {
	b := []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe}
	for _, test := range []struct {
		b                   []byte
		order, digits, want string
	}{
		{b, uuidOrder, lower, "01234567-89ab-cdef-1032-547698badcfe"},
		{b, guidOrder, lower, "67452301-ab89-efcd-1032-547698badcfe"},
		{b[4:8], serialOrder, upper, "EFCD-AB89"},
		{b[:8], quadOrder, upper, "EFCDAB8967452301"},
		{b[4:8], wordOrder, lower, "efcdab89"},
		{make([]byte, 16), uuidOrder, lower, ""},
	} {
		if got := id(test.b, test.order, test.digits); got != test.want {
			t.Errorf("id(%x) = %q, want %q", test.b, got, test.want)
		}
	}
}

func TestJolietLabel(t *testing.T) {
	for _, test := range []struct {
		name, joliet, volume, want string
	}{
		{"the same", "Label", "Label", "Label"},
		{"large letters", "Mixed Case", "MIXED CASE", "Mixed Case"},
		{"small letters", "MIXED", "Mixed", "Mixed"},
		{"longer than 16", "Longer than sixt", "LONGER_THAN_SIXTEEN", "Longer than sixtEEN"},
		{"not in ASCII", "Grüße", "GR__E", "Grüße"},
		{"beyond 16 bits", "a😀b", "A_B", "a😀b"},
		{"different", "one", "TWO", "one"},
		{"replaced in Joliet", "a_b", "A:B", "a:b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var joliet []byte
			for _, unit := range utf16.Encode([]rune(test.joliet)) {
				joliet = binary.BigEndian.AppendUint16(joliet, unit)
			}
			for len(joliet) < 32 {
				joliet = append(joliet, 0, ' ')
			}
			volume := []byte(test.volume)
			for len(volume) < 32 {
				volume = append(volume, ' ')
			}
			if got := jolietLabel(joliet, volume); got != test.want {
				t.Errorf("jolietLabel = %q, want %q", got, test.want)
			}
		})
	}
}

func TestUDFUUID(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"1234567", ""},
		{"0123456789ABCDEFmore", "0123456789abcdef"},
		{"0123ABCDnot hex", "0123abcd6e6f7420"},
		{"0123ABCD", "0123abcd00000000"},
		{"0123ABCD12", "0123abcd31320000"},
		{"not hexadecimal", "6e6f742068657861"},
		{"日本日本日本", "e697a5e69cace697"},
		{"0123456789abcd日", "0123456738396162"},
	} {
		if got := udfUUID([]byte(test.in)); got != test.want {
			t.Errorf("udfUUID(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestDstring(t *testing.T) {
	field := func(compression byte, chars string, length byte) []byte {
		b := make([]byte, 128)
		b[0], b[127] = compression, length
		copy(b[1:127], chars)
		return b
	}
	for _, test := range []struct {
		name string
		in   []byte
		want string
	}{
		{"8 bits", field(8, "Gr\xfc\xdfe", 6), "Grüße"},
		{"16 bits", field(16, "\x00a\x65\xe5", 5), "a日"},
		{"empty", field(8, "", 0), ""},
		{"unknown compression", field(9, "abc", 4), ""},
		{"too long", field(8, "abc", 255), "abc" + string(make([]byte, 123))},
	} {
		if got := string(dstring(test.in)); got != test.want {
			t.Errorf("%s: dstring = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestProduct(t *testing.T) {
	for _, test := range []struct {
		a, b uint64
		want int64
	}{
		{0, 1 << 63, 0}, {3, 4, 12}, {1 << 32, 1 << 30, 1 << 62}, {1 << 32, 1 << 31, 0}, {math.MaxUint64, 2, 0},
		{math.MaxInt64, 1, math.MaxInt64}, {1, math.MaxUint64, 0},
	} {
		if got := product(test.a, test.b); got != test.want {
			t.Errorf("product(%d, %d) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// TestCRC has the check values of the catalogue of parametrised CRC algorithms.
func TestCRC(t *testing.T) {
	check := []byte("123456789")
	if got := ^crc(crc32, ^uint32(0), check); got != 0xcbf43926 {
		t.Errorf("CRC-32 is %#x", got)
	}
	if got := ^crc(crc32c, ^uint32(0), check); got != 0xe3069283 {
		t.Errorf("CRC-32C is %#x", got)
	}
}
