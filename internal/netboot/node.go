package netboot

import (
	"net"
	"net/netip"
	"strings"
	"time"
)

// Client is what a request says of the machine that asks.
type Client struct {
	MAC         net.HardwareAddr // nil where the hardware has none (InfiniBand)
	ID          string           // option 61, its bytes
	UUID        string           // option 97, "00112233-4455-6677-8899-aabbccddeeff", bytes in the order of the packet
	Arch        Arch             // option 93; ArchBIOS where the request has none
	IP          netip.Addr       // the address that it has or is about to get; zero: none yet
	Hostname    string           // option 12, a label of letters, digits and hyphens
	UserClass   string           // option 77
	VendorClass string           // option 60
	PXE         bool             // firmware that asks for a boot file (PXEClient)
	HTTPBoot    bool             // firmware that asks for a URL (HTTPClient)
	IPXE        bool             // iPXE: it takes a script
	IPXEHTTP    bool             // and can load by HTTP, as far as it says
	Relay       netip.Addr       // giaddr; zero: on the link itself
	Subnet      netip.Prefix     // the configured one that it is in; zero: unknown
}

// HasUUID tells whether the machine has this UUID. Firmware and iPXE (Debian's, of
// 2019) send the bytes as SMBIOS has them, the first three fields little-endian.
// Linux, dmidecode and iPXE's own ${uuid} show them turned round. Both are the
// same machine.
func (c Client) HasUUID(uuid string) bool {
	u := strings.ToLower(uuid)
	return c.UUID != "" && (u == c.UUID || u == swapUUID(c.UUID))
}

// swapUUID turns round the first three fields of a UUID's text; another text
// stays as it is.
func swapUUID(s string) string {
	if len(s) != 36 {
		return s
	}
	b := []byte(s)
	for i, from := range [...]int{6, 4, 2, 0, 11, 9, 16, 14} {
		to := [...]int{0, 2, 4, 6, 9, 11, 14, 16}[i]
		b[to], b[to+1] = s[from], s[from+1]
	}
	return string(b)
}

// Boot is what a client is told to load next. The zero value is nothing.
type Boot struct {
	File   string     // a path for TFTP, or a URL; header field file and option 67
	Server netip.Addr // TFTP server: siaddr and option 66; zero: none
}

// Node is a machine of the configuration.
type Node struct {
	Hostname string
	Address  netip.Addr // reserved for it; zero: one of a pool
	Kernel   string
	Image    string
	Append   string // the command line
	Root     string // an image that the first stage, Image, fetches by HTTP; "": none
	Refused  bool   // it gets no answer at all
}

// Book is the configuration's list of machines. It must be safe for concurrent
// use.
type Book interface {
	// Lookup returns the node that a client is. A client that only a default
	// describes is that default.
	Lookup(Client) (Node, bool)
	// Reserved tells whether an address belongs to a node: no pool gives it to
	// another.
	Reserved(netip.Addr) bool
}

// State is how far a machine's last boot has come.
type State uint8

// The states, in the order of a boot.
const (
	Seen    State = iota // it has asked for something
	Leased               // it has an address
	Loading              // it loads a kernel or an image
	Booted               // its init has reported
	Running              // its payload runs
	Crashed              // it has reported a failure
)

// String returns the state's name, as status prints it.
func (s State) String() string {
	names := [...]string{"seen", "leased", "loading", "booted", "running", "crashed"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Status is what the server knows of one machine.
type Status struct {
	MAC      net.HardwareAddr `json:"mac"`
	UUID     string           `json:"uuid,omitempty"`
	Arch     Arch             `json:"arch"`
	Hostname string           `json:"hostname,omitempty"`
	Addr     netip.Addr       `json:"addr,omitzero"`
	State    State            `json:"state"`
	Since    time.Time        `json:"since"`             // of the state
	Last     time.Time        `json:"last"`              // heard of
	Timings  []byte           `json:"timings,omitempty"` // of the last boot, as the node has reported them
}
