package netcfg_test

import (
	"fmt"

	"rambox/pkg/netcfg"
)

func ExampleParseIP() {
	s, err := netcfg.ParseIP("192.168.1.2::192.168.1.1:255.255.255.0:node7:eth0:off:1.1.1.1")
	fmt.Println(s.Method, s.Device, s.Addr, s.Gateway, s.Hostname, s.DNS, err)
	_, err = netcfg.ParseIP("192.168.1.2:::255.0.255.0::eth0:off")
	fmt.Println(err)
	// Output:
	// static eth0 192.168.1.2/24 192.168.1.1 node7 [1.1.1.1] <nil>
	// ip=192.168.1.2:::255.0.255.0::eth0:off: netmask: the bits of 255.0.255.0 are not in one piece
}

func ExampleParse() {
	line := map[string][]string{"ip": {"eth0:dhcp"}, "rambox.net.timeout": {"5"}}
	p, err := netcfg.Parse(func(name string) []string { return line[name] })
	fmt.Println(p.Mode, p.Specs[0].Device, p.Timeout, err)
	// Output:
	// ip= eth0 5s <nil>
}
