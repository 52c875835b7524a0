package netboot

import (
	"errors"
	"fmt"
	"strings"
)

// Load is what a machine loads.
type Load struct {
	Servers []string // base URLs of HTTP servers, in the order in which they are tried
	Kernel  string   // names in the tree
	Initrd  string   // "": none
	Cmdline string   // see BootLine
}

// How an iPXE script goes on when no server has answered.
const (
	ipxeRounds = 20 // of all servers; then the machine begins anew, with DHCP
	ipxePause  = 3  // seconds after a round
)

// IPXEScript is the script that makes iPXE load and start a node's kernel: all
// servers in turn, again and again.
func IPXEScript(c Client, n Node, l Load) (string, error) {
	text, err := ipxeScript(l)
	if err != nil {
		return "", fmt.Errorf("%s: %w", n.label(c), err)
	}
	return "#!ipxe\n# " + ipxeComment(n.label(c)) + "\n" + text, nil
}

func ipxeScript(l Load) (string, error) {
	if l.Kernel == "" {
		return "", errors.New("no kernel")
	}
	if len(l.Servers) == 0 {
		return "", errors.New("no HTTP server to load from")
	}
	words, err := ipxeWords(l.Cmdline)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("set round:int32 0\n:again\n")
	for _, server := range l.Servers {
		kernel, err := fileURL(server, l.Kernel)
		if err != nil {
			return "", err
		}
		initrd, err := fileURL(server, l.Initrd)
		if err != nil {
			return "", err
		}
		// The EFI stub of a kernel finds its initrd by this name; the others do
		// not look at it. With EFI the kernel's own name becomes the first word of
		// its command line: the dot keeps it from init.
		b.WriteString("imgfree\n")
		if l.Initrd == "" {
			fmt.Fprintf(&b, "kernel --name ipxe.kernel %s%s && boot ||\n", ipxeURL(kernel), words)
			continue
		}
		fmt.Fprintf(&b, "kernel --name ipxe.kernel %s initrd=initrd%s && initrd --name initrd %s && boot ||\n", ipxeURL(kernel), words, ipxeURL(initrd))
	}
	fmt.Fprintf(&b, `echo rambox: no server has answered; trying again
sleep %d ||
inc round
iseq ${round} %d || goto again
echo rambox: giving up; starting anew
reboot
`, ipxePause, ipxeRounds)
	return b.String(), nil
}

// IPXEChain is the script for an iPXE of which nothing is known: it says who it
// is and asks again. Any DHCP server can send every machine to it.
func IPXEChain(servers []string) (string, error) {
	if len(servers) == 0 {
		return "", errors.New("no HTTP server to load from")
	}
	var b strings.Builder
	b.WriteString("#!ipxe\n:again\n")
	for _, server := range servers {
		u, err := fileURL(server, "ipxe")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "chain --replace --autofree %s/mac=${netX/mac},sysuuid=${uuid},arch=${buildarch} ||\n", ipxeURL(u))
	}
	fmt.Fprintf(&b, "echo rambox: no server has answered; trying again\nsleep %d ||\ngoto again\n", ipxePause)
	return b.String(), nil
}

// ipxeURL keeps iPXE from expanding what a URL has in it: "$" is a character
// that url.URL leaves alone.
func ipxeURL(u string) string { return strings.ReplaceAll(u, "$", "%24") }

// ipxeComment makes a comment of a text: nothing in it can end the line.
func ipxeComment(s string) string { return plainText([]byte(s)) }

// ipxeWords is a command line for the end of a command of iPXE, with a space in
// front if there is one. iPXE splits at white space and joins by single spaces,
// knows no quotes, expands ${…} anywhere, and ends a command at some words
// (core/exec.c).
func ipxeWords(line string) (string, error) {
	if err := checkWords(line); err != nil {
		return "", err
	}
	words := strings.Fields(line)
	if strings.Contains(line, `"`) && strings.Join(words, " ") != strings.TrimSpace(line) {
		return "", errors.New("command line: more than one space in a row, which iPXE would join, and quotes")
	}
	for _, w := range words {
		switch {
		case strings.Contains(w, "${"):
			return "", fmt.Errorf("command line: %q: iPXE would expand it", w)
		case strings.HasPrefix(w, "#"), w == "||", w == "&&", w == ";":
			return "", fmt.Errorf("command line: %q: iPXE would end the command here", w)
		}
	}
	if len(words) == 0 {
		return "", nil
	}
	return " " + strings.Join(words, " "), nil
}
