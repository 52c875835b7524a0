package netcfg

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// ndOption is what one option of a router advertisement says of name servers:
// RDNSS or DNSSL (RFC 8106, sections 5.1 and 5.2).
type ndOption struct {
	index    int // of the link
	said     []saying
	lifetime time.Duration // forever: forever6 seconds; 0: no longer
}

// saying is the address of a name server, or a domain to search.
type saying struct {
	dns    netip.Addr
	search string
}

// The numbers of the two options, and of the message that brings them (RFC
// 4861, section 4.2).
const (
	ndRDNSS     = 25
	ndDNSSL     = 31
	ndRouterAdv = 134
)

// sizeofNdUserOpt is the length of the kernel's struct nduseroptmsg, in bytes.
const sizeofNdUserOpt = 16

// parseNdUserOpt reads the payload of an RTM_NEWNDUSEROPT message: struct
// nduseroptmsg of linux/rtnetlink.h, the option as it came, and attributes. ok
// is false if it is another option or a wrong one.
func parseNdUserOpt(b []byte) (o ndOption, ok bool) {
	const inet6 = 10 // AF_INET6
	if len(b) < sizeofNdUserOpt || b[0] != inet6 || b[8] != ndRouterAdv || b[9] != 0 {
		return ndOption{}, false
	}
	o.index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	option := b[sizeofNdUserOpt:]
	n := int(binary.NativeEndian.Uint16(b[2:]))
	if n < 16 || n > len(option) || n != 8*int(option[1]) {
		return ndOption{}, false
	}
	kind, value := option[0], option[8:n]
	o.lifetime = time.Duration(binary.BigEndian.Uint32(option[4:])) * time.Second
	switch kind {
	case ndRDNSS:
		for _, a := range addrs6(value) {
			o.said = append(o.said, saying{dns: a})
		}
	case ndDNSSL:
		for _, name := range searchList(value) {
			o.said = append(o.said, saying{search: name})
		}
	}
	return o, len(o.said) > 0
}

// maxAdvertised bounds how many name servers, and how many domains, are kept:
// whoever is on the link can send router advertisements.
const maxAdvertised = 8

// advertised is what routers say of name servers, in the order in which it
// came.
type advertised []lasting

// lasting is what was said, with the time of its end; the zero time is never.
type lasting struct {
	saying
	until time.Time
}

// add takes over an option.
func (a *advertised) add(o ndOption, now time.Time) {
	var until time.Time
	if o.lifetime < forever6*time.Second {
		until = now.Add(o.lifetime)
	}
	for _, said := range o.said {
		alike, known := 0, false
		for i, l := range *a {
			if l.saying == said {
				(*a)[i].until, known = until, true
			}
			if l.dns.IsValid() == said.dns.IsValid() {
				alike++
			}
		}
		if !known && alike < maxAdvertised {
			*a = append(*a, lasting{said, until})
		}
	}
	a.expire(now)
}

// expire drops what has ended.
func (a *advertised) expire(now time.Time) {
	kept := (*a)[:0]
	for _, l := range *a {
		if l.until.IsZero() || now.Before(l.until) {
			kept = append(kept, l)
		}
	}
	*a = kept
}

// due returns when the first value ends; zero is never.
func (a advertised) due() time.Time {
	var due time.Time
	for _, l := range a {
		due = sooner(due, l.until)
	}
	return due
}

// sooner returns the earlier of two times; zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
