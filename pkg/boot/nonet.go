//go:build nonet

package boot

import (
	"errors"

	"rambox/pkg/cmdline"
)

// Network is what a machine's network is to be: nothing, in this build.
type Network struct{}

// String says so.
func (n Network) String() string { return "none: this init was built without (nonet)" }

// network warns of what is asked for in vain.
func (p *Plan) network(args cmdline.Args) {
	for _, name := range [...]string{"ip", "nfsaddrs", "rambox.net", "rd.neednet"} {
		if args.Has(name) {
			p.warn("%s: ignored, this init was built without network (nonet)", name)
		}
	}
}

var errNoNetwork = errors.New("this init was built without network (nonet)")

func (r *Root) nfs(cmdline.Args) error { return errNoNetwork }
