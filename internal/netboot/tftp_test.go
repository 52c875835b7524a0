package netboot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseRequest(t *testing.T) {
	long := "\x00\x01" + strings.Repeat("x", 510) + "\x00octet\x00"
	for _, tc := range []struct {
		name, packet string
		want         tftpRequest
		ok           bool
		fault        string
	}{
		{"plain", "\x00\x01pxelinux.0\x00octet\x00", tftpRequest{name: "pxelinux.0"}, true, ""},
		{"mode in capitals", "\x00\x01f\x00NetASCII\x00", tftpRequest{name: "f", netascii: true}, true, ""},
		{"all options", "\x00\x01f\x00octet\x00blksize\x001428\x00tsize\x000\x00timeout\x003\x00windowsize\x0016\x00",
			tftpRequest{name: "f", block: 1428, window: 16, timeout: 3 * time.Second, size: true}, true, ""},
		{"names of options in capitals", "\x00\x01f\x00octet\x00BLKSIZE\x00512\x00", tftpRequest{name: "f", block: 512}, true, ""},
		{"too much is cut down", "\x00\x01f\x00octet\x00blksize\x0099999\x00windowsize\x0065535\x00", tftpRequest{name: "f", block: maxBlock, window: maxWindow}, true, ""},
		{"what makes no sense is left out", "\x00\x01f\x00octet\x00blksize\x007\x00timeout\x000\x00windowsize\x000\x00tsize\x00x\x00multicast\x00\x00", tftpRequest{name: "f"}, true, ""},
		{"the first of two counts", "\x00\x01f\x00octet\x00blksize\x00600\x00blksize\x00700\x00", tftpRequest{name: "f", block: 600}, true, ""},
		{"an option without a value", "\x00\x01f\x00octet\x00blksize\x00", tftpRequest{name: "f"}, true, ""},
		{"padding", "\x00\x01f\x00octet\x00\x00\x00\x00xx", tftpRequest{name: "f"}, true, ""},
		{"no mode", "\x00\x01f\x00octet", tftpRequest{}, false, "request without a file name and a mode"},
		{"empty", "\x00\x01", tftpRequest{}, false, "request without a file name and a mode"},
		{"mail", "\x00\x01f\x00mail\x00", tftpRequest{name: "f"}, false, `mode "mail": want octet or netascii`},
		{"too long", long, tftpRequest{}, false, "request of 519 bytes: want at most 512"},
		{"write", "\x00\x02f\x00octet\x00", tftpRequest{}, false, "this server is read-only"},
		{"an acknowledgement", "\x00\x04\x00\x01", tftpRequest{}, false, ""},
		{"an error", "\x00\x05\x00\x01no\x00", tftpRequest{}, false, ""},
		{"a byte", "\x00", tftpRequest{}, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok, fault := parseRequest([]byte(tc.packet))
			text := ""
			if fault != nil {
				text = fault.text
			}
			if ok != tc.ok || text != tc.fault || ok && !cmp.Equal(got, tc.want, cmp.AllowUnexported(tftpRequest{})) {
				t.Errorf("parseRequest(%q) = %+v, %v, %q, want %+v, %v, %q", tc.packet, got, ok, text, tc.want, tc.ok, tc.fault)
			}
		})
	}
}

func TestTFTPFaultPacket(t *testing.T) {
	got := tftpFaultf(tftpNotFound, "no file %s", "ä\n").packet()
	if want := "\x00\x05\x00\x01no file ??\x00"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCleanName(t *testing.T) {
	for _, tc := range []struct{ raw, want, fault string }{
		{"pxelinux.0", "pxelinux.0", ""},
		{"/pxelinux.cfg/default", "pxelinux.cfg/default", ""},
		{"//a///b", "a/b", ""},
		{"pxelinux.0\xff", "pxelinux.0", ""},
		{"pxelinux.0\xff\xff\xff", "pxelinux.0", ""},
		{"pxelinux.0\xfe\xff", "", `file name "pxelinux.0\xfe": is not UTF-8`},
		{`\Boot\BCD`, "Boot/BCD", ""},
		{`C:\boot\x`, "boot/x", ""},
		{"c:x", "x", ""},
		{"1:x", "1:x", ""},
		{"../../etc/passwd", "etc/passwd", ""},
		{"a/../../b", "b", ""},
		{`a\..\..\b`, "b", ""},
		{"a/./b/", "a/b", ""},
		{"with space", "with space", ""},
		{"", "", "request without a file name"},
		{"/", "", "request without a file name"},
		{"..", "", "request without a file name"},
		{"a\nb", "", `file name "a\nb": has a control character`},
		{"a\x00b", "", `file name "a\x00b": has a control character`},
		{"a\xffb", "", `file name "a\xffb": is not UTF-8`},
		{strings.Repeat("x", 256), "", "file name of 256 bytes: want at most 255"},
	} {
		got, err := cleanName(tc.raw)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != tc.want || text != tc.fault {
			t.Errorf("cleanName(%q) = %q, %q, want %q, %q", tc.raw, got, text, tc.want, tc.fault)
		}
	}
}

func FuzzTFTPRequest(f *testing.F) {
	f.Add([]byte("\x00\x01pxelinux.cfg/01-52-54-00-12-34-56\x00octet\x00tsize\x000\x00blksize\x001408\x00windowsize\x004\x00timeout\x005\x00"))
	f.Add([]byte("\x00\x01C:\\x\xff\x00netascii\x00"))
	f.Add([]byte("\x00\x02f\x00octet\x00"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, ok, fault := parseRequest(packet)
		if ok && fault != nil {
			t.Fatalf("%q is taken and refused: %v", packet, fault)
		}
		if fault != nil && len(fault.packet()) > 300 {
			t.Fatalf("%q: answer of %d bytes", packet, len(fault.packet()))
		}
		if !ok {
			return
		}
		if r.block != 0 && (r.block < minBlock || r.block > maxBlock) || r.window < 0 || r.window > maxWindow || r.timeout < 0 {
			t.Fatalf("%q: out of bounds: %+v", packet, r)
		}
		if o := r.oack(1 << 40); len(o) > tftpMaxRequest {
			t.Fatalf("%q: OACK of %d bytes", packet, len(o))
		}
	})
}

func FuzzTFTPName(f *testing.F) {
	for _, s := range []string{"/a/../../b\xff", `C:\x\..\y`, "..\\..", "a//b", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		name, err := cleanName(raw)
		if err != nil {
			return
		}
		for part := range strings.SplitSeq(name, "/") {
			if part == "" || part == "." || part == ".." {
				t.Fatalf("cleanName(%q) = %q", raw, name)
			}
		}
		if again, err := cleanName(name); len(name) > maxName || strings.ContainsAny(name, "\\\x00\n") || err == nil && again != name && name[1:2] != ":" {
			t.Fatalf("cleanName(%q) = %q, and of that %q, %v", raw, name, again, err)
		}
	})
}
