package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"rambox/internal/kernels"
	"rambox/internal/netboot"
)

// serveState is where leases are kept unless somebody says otherwise.
const serveState = "/var/lib/rambox"

// serveOptions are the flags of rambox serve.
type serveOptions struct {
	config string

	kernel, image, append string
	listen                []string
	proxy                 bool
	pool                  string

	state, user, log string
}

func serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve {--kernel KERNEL --image FILE [--append LINE] | --config FILE}",
		Short: "Boot machines over the network: DHCP, TFTP and HTTP in one",
		Long: `Serve gives machines of a network their addresses, a boot program, a kernel and an image. With --proxy another DHCP server gives out the
addresses. With --config a file says which machine loads what (docs/serve.md); it is read again when it changes and on SIGHUP.

It needs root, or the capabilities CAP_NET_BIND_SERVICE and CAP_NET_RAW, until its sockets are open.`,
		Example: `  rambox build -o node.img --payload ./app --kernel cloud
  rambox serve --kernel cloud --image node.img --interface eth1 --range 10.0.0.100-10.0.0.199
  rambox serve --kernel cloud --image node.img --interface eth1 --proxy
  rambox serve --config /etc/rambox/serve.toml --user nobody
  rambox serve status`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.serve(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "file that says which machine loads what")
	f.StringVar(&o.kernel, "kernel", "", "kernel that all machines load: a file, a release, or a name of rambox kernel list")
	f.StringVar(&o.image, "image", "", "image that all machines load")
	f.StringVar(&o.append, "append", "", "kernel parameters; ${mac}, ${uuid}, ${hostname} and ${ip} are the machine's own")
	f.StringSliceVar(&o.listen, "interface", nil, "interface to answer on, or an address of it (default: the only one that has an address)")
	f.BoolVar(&o.proxy, "proxy", false, "leave addresses to another DHCP server")
	f.StringVar(&o.pool, "range", "", "addresses to give out, FIRST-LAST (default: the upper half of the interface's network)")
	f.StringVar(&o.user, "user", "", "user to become when all sockets are open")
	f.StringVar(&o.log, "log", "text", "form of the log on standard error: text or json")
	stateFlag(f, &o.state)
	for _, simple := range []string{"kernel", "image", "append", "interface", "proxy", "range"} {
		cmd.MarkFlagsMutuallyExclusive("config", simple)
	}
	cmd.AddCommand(serveStatusCommand())
	return cmd
}

func (o *serveOptions) serve(ctx context.Context) error {
	log, err := newServeLog(o.log, os.Stderr)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A SIGHUP that comes early must not end us.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	config, err := o.load()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.state, 0o700); err != nil {
		return fmt.Errorf("state: %w; name another directory with --state", err)
	}
	s, err := netboot.OpenServer(ctx, config, o.state, log)
	if err != nil {
		return explainPrivileges(err)
	}
	systemd, err := dialSystemd()
	if err != nil {
		log.Warn(err.Error())
	}
	defer systemd.Close()
	if err := o.lessPrivileges(log); err != nil {
		return err
	}
	// Now as the user who will read them.
	if err := config.Files(); err != nil {
		return err
	}
	go o.follow(ctx, s, hangup, log)
	if _, err := io.WriteString(systemd, "READY=1"); err != nil {
		log.Warn("tell systemd: " + err.Error())
	}
	err = s.Serve(ctx)
	log.Info("ended")
	return err
}

func newServeLog(form string, w io.Writer) (*slog.Logger, error) {
	switch form {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, fmt.Errorf("--log %s: want text or json", form)
}

// load makes a configuration of the file, or of the flags.
func (o *serveOptions) load() (*netboot.Config, error) {
	if o.config != "" {
		return netboot.LoadConfig(o.config)
	}
	if o.kernel == "" || o.image == "" {
		return nil, errors.New("what shall machines load? Give --kernel and --image, or --config FILE")
	}
	k, err := kernels.Find(o.kernel)
	if err != nil {
		return nil, err
	}
	c, err := simpleConfig(k.Path, o.image, o.append)
	if err != nil {
		return nil, err
	}
	c.Proxy = o.proxy
	if c.Listen = o.listen; c.Listen == nil {
		if c.Listen, err = onlyInterface(); err != nil {
			return nil, err
		}
	}
	if o.proxy {
		if o.pool != "" {
			return nil, errors.New("--range: with --proxy another server gives out the addresses")
		}
		return c, nil
	}
	c.Subnets, err = o.subnets(c.Listen)
	return c, err
}

func simpleConfig(kernel, image, line string) (*netboot.Config, error) {
	paths := [2]string{kernel, image}
	for i := range paths {
		p, err := filepath.Abs(paths[i])
		if err != nil {
			return nil, err
		}
		paths[i] = p
	}
	c, err := netboot.SimpleConfig(paths[0], paths[1], line)
	if err != nil {
		return nil, fmt.Errorf("--append: %w", err)
	}
	return c, c.Files()
}

// subnets are those of the interfaces. A range is in one of them.
func (o *serveOptions) subnets(listen []string) ([]netboot.Subnet, error) {
	var pool netboot.Range
	if o.pool != "" {
		var err error
		if pool, err = netboot.ParseRange(o.pool); err != nil {
			return nil, fmt.Errorf("--range %w", err)
		}
	}
	links, err := netboot.FindLinks(listen)
	if err != nil {
		return nil, err
	}
	var subnets []netboot.Subnet
	for _, l := range links {
		own := l.Addrs[0]
		if pool.First.IsValid() && !own.Contains(pool.First) {
			continue
		}
		s, err := netboot.SimpleSubnet(own, pool)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", l.Name, err)
		}
		subnets = append(subnets, s)
	}
	if len(subnets) == 0 {
		return nil, fmt.Errorf("--range %s: is in the network of no interface", o.pool)
	}
	return subnets, nil
}

// onlyInterface is the interface that has an IPv4 address, if it is the only
// one but loopback.
func onlyInterface() ([]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagBroadcast == 0 {
			continue
		}
		if _, err := netboot.FindLinks([]string{i.Name}); err == nil {
			names = append(names, i.Name)
		}
	}
	switch len(names) {
	case 0:
		return nil, errors.New("no interface has an IPv4 address to answer from: give one an address, and name it with --interface")
	case 1:
		return names, nil
	}
	return nil, fmt.Errorf("several interfaces have addresses: %s: choose with --interface", strings.Join(names, ", "))
}
