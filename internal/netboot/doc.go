// Package netboot is what a network boot server says on the wire: DHCP and
// proxyDHCP, and the store of leases and machines behind them.
//
// Each protocol is a core that takes a packet and returns one, without I/O and
// without a clock, and a server around it. [Responder] is DHCP's core and
// [DHCPServer] its server; [Store] keeps what must outlive the process, and
// [Journal] lets many answers wait for one write to the disk.
package netboot
