package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rambox/internal/netboot"
)

func TestPrintStatus(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	boot := []byte(`{"version":1,"release":"6.1.0","init":0.512,"now":0.7,"stages":[{"name":"early","start":0.512,"end":0.5121},` +
		`{"name":"network","start":0.52,"end":0.581},{"name":"payload","start":0.605}],"waits":[],"modules":[]}`)
	var b strings.Builder
	err := printStatus(&b, []netboot.MachineStatus{
		{MAC: "02:00:00:00:00:01", Arch: "x64", State: "seen", Since: now.Add(-30 * time.Second)},
		{MAC: "02:00:00:00:00:02", Arch: "bios", Hostname: "n2", Addr: netip.MustParseAddr("10.0.0.2"), State: "crashed", Since: now.Add(-49 * time.Hour), Detail: "exit 1", Boot: boot},
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	want := `STATE    FOR  HOSTNAME  ADDRESS   MAC                ARCH  LAST BOOT                             DETAIL
seen     30s  -         -         02:00:00:00:00:01  x64   -                                     -
crashed  2d   n2        10.0.0.2  02:00:00:00:00:02  bios  0.605s (kernel 0.512, network 0.061)  exit 1
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("printStatus (-want +got):\n%s", diff)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 3 * time.Hour: "3h", 47 * time.Hour: "47h", 72 * time.Hour: "3d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %s, want %s", d, got, want)
		}
	}
}
