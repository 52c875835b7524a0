// Package netcfg brings up the network of a machine that boots: it reads ip=
// in every dialect in use, asks DHCP or DHCPv6, applies the answer by netlink,
// and keeps the lease for as long as the machine runs. What routers advertise
// is left to the kernel and watched.
//
// Parsing and planning do no I/O: [ParseIP] and [Parse] turn the command line
// into a [Plan]; [ParseMessage] and [Message.Lease] turn a server's packet into
// a [Config]; [Spec.Config] does so for fixed addresses. On Linux, Run carries
// a plan out and Apply is the one step that changes a link.
//
// Messages of DHCPv4 are coded by github.com/insomniacslk/dhcp, and the kernel is
// spoken to by github.com/vishvananda/netlink. The state machines of both
// clients are the package's own, without I/O, and so are DHCPv6's messages: the
// library's would be a tenth of init.
package netcfg
