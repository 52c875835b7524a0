package netboot

import "fmt"

// Arch is a client's architecture, option 93 (RFC 4578, section 2.1, and IANA's
// registry "Processor Architecture Types").
type Arch uint16

// The architectures that machines boot with today.
const (
	ArchBIOS      Arch = 0
	ArchEFI32     Arch = 6
	ArchEFIBC     Arch = 7 // what x64 firmware sends, by the letter of RFC 4578's errata
	ArchEFI64     Arch = 9
	ArchEFIArm    Arch = 10
	ArchEFIArm64  Arch = 11
	ArchHTTP32    Arch = 15
	ArchHTTP64    Arch = 16
	ArchHTTPArm   Arch = 18
	ArchHTTPArm64 Arch = 19
	ArchHTTPBIOS  Arch = 20
	ArchRISCV64   Arch = 27
	ArchHTTPRISCV Arch = 28
)

// HTTP tells whether firmware of this architecture loads by HTTP and wants a
// URL.
func (a Arch) HTTP() bool {
	switch a {
	case ArchHTTP32, ArchHTTP64, ArchHTTPArm, ArchHTTPArm64, ArchHTTPBIOS, ArchHTTPRISCV:
		return true
	}
	return false
}

// CPU names what the machine runs, as boot programs are named by it: "bios",
// "x86", "x64", "arm", "arm64", "riscv64", or "" for what is not known.
func (a Arch) CPU() string {
	switch a {
	case ArchBIOS, ArchHTTPBIOS:
		return "bios"
	case ArchEFI32, ArchHTTP32:
		return "x86"
	case ArchEFIBC, ArchEFI64, ArchHTTP64:
		return "x64"
	case ArchEFIArm, ArchHTTPArm:
		return "arm"
	case ArchEFIArm64, ArchHTTPArm64:
		return "arm64"
	case ArchRISCV64, ArchHTTPRISCV:
		return "riscv64"
	}
	return ""
}

// String returns the CPU, or the number of an architecture without a name:
// "x64", "arch 33".
func (a Arch) String() string {
	if s := a.CPU(); s != "" {
		return s
	}
	return fmt.Sprintf("arch %d", uint16(a))
}
