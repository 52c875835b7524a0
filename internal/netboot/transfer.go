package netboot

import (
	"net/netip"
	"time"
)

// Transfer is what has been sent, or not, to a client that has asked for a file.
type Transfer struct {
	Protocol string // "tftp" or "http"
	Client   netip.Addr
	Name     string        // within the served tree, or as it was asked for
	Size     int64         // bytes of the file
	Sent     int64         // bytes of it that have been sent; for TFTP those that have arrived
	Resent   int           // TFTP: packets sent again
	Took     time.Duration // from the request to its end
	Err      error         // nil: the client has all that it has asked for
}
