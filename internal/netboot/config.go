package netboot

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// DefaultHTTPPort is where machines load by HTTP.
const DefaultHTTPPort = 8080

// Config is what rambox serve does: the file serve.toml, or flags. It is not
// changed once it is in use, and is a [Book].
type Config struct {
	File   string   // it was read from; "": none
	Listen []string // interfaces, or addresses of this machine
	Proxy  bool     // another server gives out the addresses

	Subnets       []Subnet
	Authoritative bool

	HTTPPort int
	Servers  []string       // base URLs of further HTTP servers, which are tried after this one
	Watchers []netip.Prefix // who may read /metrics and /status, apart from this machine itself
	Dir      string         // a directory of further files to be served; "": none

	// Programs are boot programs by [Arch.CPU]: files, "pxelinux", or "uki" for
	// unified kernel images. Where none is named it is Debian's iPXE, or "uki" where
	// there is none.
	Programs map[string]string

	Deny bool // machines that are neither a node nor in a group get no answer

	defaults loads
	groups   []group
	nodes    []node

	byMAC  map[string]int // indexes of nodes
	byUUID map[string]int
	byAddr map[netip.Addr]int
	files  []namedFile    // that must be there
	lines  map[string]int // of keys of the server: "listen", "program.bios"
}

// wrong says what is wrong with the value of a key of the server.
func (c *Config) wrong(key string, err error) error {
	return &ConfigError{File: c.File, Line: c.lines[key], Err: fmt.Errorf("%s: %w", key, err)}
}

// loads is what a machine loads. What a node does not say its group says, and
// then the whole configuration.
type loads struct {
	kernel, image, root string  // files by absolute paths
	append              *string // the command line; nil: not said
	deny                bool
}

// over returns what holds where l counts before base.
func (l loads) over(base loads) loads {
	if l.kernel == "" {
		l.kernel = base.kernel
	}
	if l.image == "" {
		l.image = base.image
	}
	if l.root == "" {
		l.root = base.root
	}
	if l.append == nil {
		l.append = base.append
	}
	return l
}

// node is a [[node]] of the file.
type node struct {
	loads
	line     int
	mac      net.HardwareAddr
	uuid     string
	hostname string
	address  netip.Addr
}

// group is a [[group]]: machines that have one of each list that is not empty.
type group struct {
	loads
	line    int
	macs    []string // beginnings: "52:54:00:"
	uuids   []string
	arches  []string // by Arch.CPU
	subnets []netip.Prefix
}

// namedFile is a file that the configuration names.
type namedFile struct {
	path, key string
	line      int
}

// SimpleConfig is a configuration in which all machines load the same. Kernel
// and image are absolute paths.
func SimpleConfig(kernel, image, line string) (*Config, error) {
	if err := checkAppend(line); err != nil {
		return nil, err
	}
	return &Config{
		HTTPPort: DefaultHTTPPort, defaults: loads{kernel: kernel, image: image, append: &line},
		files: []namedFile{{path: kernel, key: "kernel"}, {path: image, key: "image"}},
	}, nil
}

// Lookup is of [Book].
func (c *Config) Lookup(client Client) (Node, bool) {
	i, isNode := c.byMAC[client.MAC.String()]
	if !isNode && client.UUID != "" {
		if i, isNode = c.byUUID[client.UUID]; !isNode {
			i, isNode = c.byUUID[swapUUID(client.UUID)]
		}
	}
	var n node
	if isNode {
		n = c.nodes[i]
	}
	l := n.loads
	grouped := false
	for _, g := range c.groups {
		if grouped = g.has(client, n, c.place(client, n)); grouped {
			l = l.over(g.loads)
			l.deny = l.deny || g.deny
			break
		}
	}
	known := isNode || grouped
	result := l.over(c.defaults).node()
	result.Hostname, result.Address = n.hostname, n.address
	result.Refused = l.deny || c.Deny && !known
	return result, known || !c.Deny
}

// node is what a machine without further properties loads.
func (l loads) node() Node {
	n := Node{Kernel: l.kernel, Image: l.image, Root: l.root, Refused: l.deny}
	if l.append != nil {
		n.Append = *l.append
	}
	return n
}

// place is an address of the subnet in which a machine is; zero: not known. One
// without an address on a link is in the only subnet, if there is but one.
func (c *Config) place(client Client, n node) netip.Addr {
	switch {
	case n.address.IsValid():
		return n.address
	case client.Relay.IsValid():
		return client.Relay
	case client.IP.IsValid():
		return client.IP
	case client.Subnet.IsValid():
		return client.Subnet.Addr()
	case len(c.Subnets) == 1:
		return c.Subnets[0].Prefix.Addr()
	}
	return netip.Addr{}
}

// has tells whether a machine is in the group.
func (g group) has(c Client, n node, place netip.Addr) bool {
	return matches(g.macs, func(begin string) bool { return strings.HasPrefix(c.MAC.String(), begin) }) &&
		matches(g.uuids, func(uuid string) bool { return c.HasUUID(uuid) || uuid == n.uuid }) &&
		matches(g.arches, func(arch string) bool { return c.Arch.CPU() == arch }) &&
		matches(g.subnets, func(p netip.Prefix) bool { return place.IsValid() && p.Contains(place) })
}

// mayHave tells whether a node can be in the group, and whether it is, whatever
// it turns out to be.
func (g group) mayHave(n node) (may, must bool) {
	may, must = true, true
	consider := func(given, known, has bool) {
		if given {
			may, must = may && (has || !known), must && has && known
		}
	}
	mac := n.mac.String()
	consider(len(g.macs) > 0, n.mac != nil, matches(g.macs, func(begin string) bool { return strings.HasPrefix(mac, begin) }))
	consider(len(g.uuids) > 0, n.uuid != "", matches(g.uuids, func(uuid string) bool { return Client{UUID: n.uuid}.HasUUID(uuid) }))
	consider(len(g.arches) > 0, false, false)
	consider(len(g.subnets) > 0, n.address.IsValid(), matches(g.subnets, func(p netip.Prefix) bool { return n.address.IsValid() && p.Contains(n.address) }))
	return may, must
}

// matches tells whether one of a list fits. An empty list says nothing.
func matches[T any](list []T, fits func(T) bool) bool {
	for _, v := range list {
		if fits(v) {
			return true
		}
	}
	return len(list) == 0
}

// Reserved is of [Book].
func (c *Config) Reserved(a netip.Addr) bool {
	_, ok := c.byAddr[a]
	return ok
}

// everything calls f for all that machines may load.
func (c *Config) everything(f func(Node)) {
	f(c.defaults.node())
	for _, g := range c.groups {
		f(g.node())
	}
	for _, n := range c.nodes {
		f(n.loads.node())
	}
}

// SimpleSubnet is the subnet of an address of this machine, with a pool: that
// which is asked for, or the upper half.
func SimpleSubnet(own netip.Prefix, pool Range) (Subnet, error) {
	s := Subnet{Prefix: own.Masked()}
	if !pool.First.IsValid() {
		if own.Bits() > 30 {
			return s, fmt.Errorf("network %s: has no addresses to give out", own)
		}
		half := uint32(1) << (31 - own.Bits())
		pool = Range{address(number(s.Prefix.Addr()) + half), address(number(s.Prefix.Addr()) + 2*half - 2)}
		if pool.size() > maxPool {
			pool.First = address(number(pool.Last) - maxPool + 1)
		}
	}
	s.Pools = []Range{pool}
	return s, s.validate()
}
