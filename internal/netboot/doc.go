// Package netboot is a server that machines boot from: DHCP and proxyDHCP, TFTP
// and HTTP, the configuration that says which machine loads what, and the store of
// leases and machines behind them.
//
// Each protocol is a core that takes a packet and returns one, without I/O and
// without a clock, and a server around it: [Responder] and [DHCPServer],
// [TFTPServer], [FileHandler] and [HTTPServer]. [Config] is the file and a [Book]
// of machines; [Shelf] has the files, and [Generator] and [UKIs] make those that a
// machine's boot program or firmware asks for. [Store] keeps what must outlive the
// process, and [Journal] lets many answers wait for one write to the disk. [Server]
// is all of it.
package netboot
