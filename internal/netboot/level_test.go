package netboot

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestRefusedLevel shows what somebody is to hear of who reads only warnings.
func TestRefusedLevel(t *testing.T) {
	shelf, _ := testShelf(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	h := &FileHandler{Open: shelf.Open, Digests: &Digests{}, Log: logger}
	tftp := &TFTPServer{Log: logger}
	from := arrival{client: netip.MustParseAddrPort("127.0.0.1:9"), to: netip.MustParseAddr("127.0.0.1")}
	for name, tc := range map[string]struct {
		do   func()
		want string
	}{
		"a file":                 {func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/file", nil)) }, "INFO"},
		"a name that is tried":   {func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/none", nil)) }, "INFO"},
		"no regular file":        {func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/fifo", nil)) }, "WARN"},
		"a refused machine":      {func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/refused", nil)) }, "WARN"},
		"by TFTP, that is tried": {func() { tftp.refuse(from, openFault(fs.ErrNotExist)) }, "INFO"},
		"by TFTP, not readable":  {func() { tftp.refuse(from, openFault(fs.ErrPermission)) }, "WARN"},
		"a write by TFTP": {func() {
			_, _, fault := parseRequest([]byte("\x00\x02file\x00octet\x00"))
			tftp.refuse(from, fault)
		}, "WARN"},
	} {
		log.Reset()
		if tc.do(); !strings.Contains(log.String(), "level="+tc.want) || strings.Count(log.String(), "level=") != 1 {
			t.Errorf("%s: %s, want one line of %s", name, log.String(), tc.want)
		}
	}
}

// TestSummaryUUID: firmware sends a UUID as SMBIOS has it, and people see it as
// dmidecode prints it.
func TestSummaryUUID(t *testing.T) {
	const sent, seen = "67452301-ab89-efcd-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"
	if got := (Status{UUID: sent}).Summary().UUID; got != seen {
		t.Errorf("status has %s, want %s", got, seen)
	}
	if !(Client{UUID: sent}).HasUUID(strings.ToUpper(seen)) {
		t.Errorf("%s is not taken for %s", seen, sent)
	}
}
