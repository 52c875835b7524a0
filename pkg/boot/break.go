package boot

import (
	"slices"
	"strings"

	"rambox/pkg/cmdline"
)

// The stages after which hooks run and rambox.break= stops, in their order.
const (
	stageEarly   = "early"   // the early file systems are mounted
	stageModules = "modules" // the drivers of the present devices are loaded
	stageNetwork = "network" // the network is there, or given up
	stageRoot    = "root"    // the root is mounted on /newroot
	stageHandoff = "handoff" // the next step is the last
)

// breaks maps the names of dracut (rd.break=, dracut.cmdline(7)) and of
// initramfs-tools (break=, initramfs-tools(7)) to ours, and ours to themselves.
// Theirs stop before a stage, so each is the one of ours that comes before it.
var breaks = [...][2]string{
	{stageEarly, stageEarly}, {stageModules, stageModules}, {stageNetwork, stageNetwork}, {stageRoot, stageRoot}, {stageHandoff, stageHandoff},
	{"cmdline", stageEarly}, {"pre-udev", stageEarly}, {"pre-trigger", stageEarly}, {"top", stageEarly},
	{"initqueue", stageModules},
	{"pre-mount", stageNetwork}, {"mount", stageNetwork}, {"premount", stageNetwork}, {"mountroot", stageNetwork},
	{"pre-pivot", stageRoot}, {"bottom", stageRoot},
	{"cleanup", stageHandoff}, {"init", stageHandoff},
}

// planBreaks reads where the boot is to stop for a shell.
func (p *Plan) planBreaks(args cmdline.Args) {
	for _, from := range [...]struct{ name, bare string }{
		{"rambox.break", stageHandoff}, {"rd.break", stageHandoff}, {"break", stageNetwork},
	} {
		for _, w := range args.Words {
			if w.Name != from.name {
				continue
			}
			value := w.Value
			if !w.HasValue {
				value = from.bare
			}
			for name := range strings.SplitSeq(value, ",") {
				p.breakAt(w, name)
			}
		}
	}
	if len(p.Breaks) > 0 && p.Shell == "" {
		p.warn("break: ignored, the image has no shell or is locked")
		p.Breaks = nil
	}
}

func (p *Plan) breakAt(w cmdline.Arg, name string) {
	for _, b := range breaks {
		if b[0] == name && !slices.Contains(p.Breaks, b[1]) {
			p.Breaks = append(p.Breaks, b[1])
		}
		if b[0] == name {
			return
		}
	}
	p.warn("%s: no such stage; want early, modules, network, root or handoff", w)
}
