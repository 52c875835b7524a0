package netcfg

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// writeFile replaces a file in one step, so that no reader sees half of it,
// and leaves one alone that has this content already. Links are followed: in
// many an image /etc/resolv.conf leads to /run.
func writeFile(dir, name, content string) error {
	path := filepath.Join(dir, name)
	if old, err := os.ReadFile(path); err == nil && string(old) == content {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if target, err := os.Readlink(path); err == nil {
		if filepath.IsAbs(target) {
			path = filepath.Join(dir, target)
		} else {
			path = filepath.Join(filepath.Dir(path), target)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".netcfg-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// writeFiles writes a link's lease file, of all that it was given, and the
// resolver's configuration below dir. Of nothing there is no lease file. With no name server nor search list, resolv.conf is left alone: the
// image may have its own.
func writeFiles(dir, device, resolv string, given ...Config) error {
	if len(given) == 0 {
		err := os.Remove(filepath.Join(dir, "run/net-"+device+".conf"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else if err := writeFile(dir, "run/net-"+device+".conf", given[0].LeaseFile(device, given[1:]...)); err != nil {
		return err
	}
	if resolv == "" {
		return nil
	}
	return writeFile(dir, "etc/resolv.conf", resolv)
}

// formerLease is what a lease file says that an earlier process, which has
// died, was given by DHCP: enough to ask for the same address again, and to
// remove it when another comes. The zero Config is none.
func formerLease(dir, device string, m Method) Config {
	b, err := os.ReadFile(filepath.Join(dir, "run/net-"+device+".conf"))
	if err != nil {
		return Config{}
	}
	value := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			value[k] = strings.Trim(v, "'")
		}
	}
	switch {
	case m == DHCP && value["PROTO"] == "dhcp":
		return formerLease4(value)
	case m == DHCP6 || m == Either6:
		if addr, err := netip.ParsePrefix(value["IPV6ADDR"]); err == nil && value["IPV6PROTO"] == "dhcp6" {
			return Config{Proto: "dhcp6", Addr: addr}
		}
	}
	return Config{}
}

func formerLease4(value map[string]string) Config {
	addr, err := parseAddr(value["IPV4ADDR"])
	if err != nil || !addr.IsValid() {
		return Config{}
	}
	c := Config{Proto: "dhcp"}
	if c.Addr, err = withMask(addr, value["IPV4NETMASK"]); err != nil {
		return Config{}
	}
	if c.Gateway, err = parseAddr(value["IPV4GATEWAY"]); err == nil && c.Gateway.IsValid() {
		c.Routes = c.reach([]Route{{defaultRoute(c.Gateway), c.Gateway}})
	}
	return c
}
