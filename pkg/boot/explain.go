package boot

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// String says in a few lines what the plan will do.
func (p Plan) String() string {
	var b strings.Builder
	line := func(name, format string, a ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, a...))
	}
	line("handoff", "%s (%s)", p.Handoff, p.Reason)
	switch p.Handoff {
	case ToPayload:
		line("run", "%s%s, then %s", quoteAll(p.Argv), prefixed(" in ", []string{p.Dir}), p.OnExit)
	case ToInit:
		line("exec", "%s from the image", strings.Join(p.Init, ", "))
	case ToRoot:
		p.Root.describe(line)
		line("exec", "%s on the root", strings.Join(p.Init, ", else "))
	}
	if p.Handoff == ToShell || p.OnExit == Shell || p.Rescue.Do == Shell {
		line("shell", "%s", orNone(p.Shell))
	}
	if p.Hostname != "" {
		line("hostname", "%s", p.Hostname)
	}
	for _, m := range p.Mounts {
		line("mount", "%s on %s type %s", m.Source, m.Target, m.Type)
	}
	for _, m := range p.Late {
		line("mount", "%s on %s type %s, after the modules", m.Source, m.Target, m.Type)
	}
	if !p.atOnce() {
		line("modules", "by the devices found%s", prefixed(", and ", append(slices.Clone(p.Load), p.LoadFor...)))
	}
	line("network", "%s", p.Network)
	if len(p.Blacklist) > 0 {
		line("never load", "%s", strings.Join(p.Blacklist, ", "))
	}
	for _, name := range sortedKeys(p.ModuleParam) {
		if name == "rd" || name == "systemd" || name == "sysctl" {
			continue // whose parameters have a dot too
		}
		line("option", "%s: %s, if it is a module", name, p.ModuleParam[name])
	}
	rescue := string(p.Rescue.Do)
	if p.Rescue.After > 0 {
		rescue += fmt.Sprintf(" after %v", p.Rescue.After)
	}
	if len(p.Breaks) > 0 {
		line("stop", "for a shell after %s", strings.Join(p.Breaks, ", "))
	}
	line("on failure", "%s", rescue)
	for _, w := range p.Warnings {
		line("warning", "%s", w)
	}
	return b.String()
}

func (r Root) describe(line func(name, format string, a ...any)) {
	types := "the file system found there"
	if r.Types != nil {
		types = strings.Join(r.Types, " or ")
	}
	mode := "rw"
	if r.Flags&msRdonly != 0 {
		mode = "ro"
	}
	line("root", "%s, %s, %s%s", r, types, mode, prefixed(", ", []string{r.Data}))
	wait := fmt.Sprintf("at most %v", r.Wait)
	if r.Kind == RootHelper {
		wait = "as long as it goes on saying something"
	} else if r.Wait == WaitForever {
		wait = "without end (rootwait)"
	}
	if r.Overlay != "" {
		line("overlay", "a tmpfs of %s over it", r.Overlay)
	}
	if r.Delay > 0 {
		wait += fmt.Sprintf(", after a delay of %v", r.Delay.Round(time.Millisecond))
	}
	line("wait", "%s", wait)
}

func prefixed(prefix string, words []string) string {
	s := strings.Join(words, ", ")
	if s == "" {
		return ""
	}
	return prefix + s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// quoteAll writes argv so that its words can be told apart.
func quoteAll(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n\"'\\") {
			words[i] = fmt.Sprintf("%q", w)
		}
	}
	return strings.Join(words, " ")
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
