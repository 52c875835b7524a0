package netboot

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"rambox/pkg/cmdline"
)

// maxBootLine is how many bytes of a command line every kernel keeps (x86:
// COMMAND_LINE_SIZE of 2048, with the NUL; others have as much or more).
const maxBootLine = 2047

// label names a node in messages: "node n17", "node 52:54:00:12:34:56".
func (n Node) label(c Client) string {
	switch {
	case n.Hostname != "":
		return "node " + n.Hostname
	case len(c.MAC) > 0:
		return "node " + c.MAC.String()
	case c.UUID != "":
		return "node " + c.UUID
	}
	return "node at " + c.IP.String()
}

// RemoteRoot is a root image that a node's first stage fetches by HTTP: bin/http-root
// in an image built with "--with http-root".
type RemoteRoot struct {
	Name    string   // of the image in the tree
	Digest  Digest   // of the image
	Servers []string // base URLs, in the order in which they are tried: "http://10.0.0.1:8080"
}

// Words are the kernel parameters that tell the first stage: root= with the
// first server, rambox.mirror= with each of the others, rambox.digest=.
func (r RemoteRoot) Words() ([]string, error) {
	if len(r.Servers) == 0 {
		return nil, fmt.Errorf("root image %s: no server to fetch it from", r.Name)
	}
	var words []string
	for i, server := range r.Servers {
		u, err := fileURL(server, r.Name)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			words = append(words, "root="+u)
		} else {
			words = append(words, "rambox.mirror="+u)
		}
	}
	return append(words, "rambox.digest="+r.Digest.String()), nil
}

// fileURL is where a server has a file.
func fileURL(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("server %q: %w", server, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("server %q: want http://HOST or http://HOST:PORT", server)
	}
	return u.JoinPath(name).String(), nil
}

// BootLine is the kernel's command line for a node: its Append with ${mac},
// ${uuid}, ${hostname} and ${ip} filled in, what root says, and BOOTIF= with
// the card that it boots from. root is nil where the image is all there is.
func BootLine(c Client, n Node, root *RemoteRoot) (string, error) {
	line, err := fillIn(n.Append, c, n)
	if err == nil {
		line, err = completeLine(line, c, root)
	}
	if err == nil && len(line) > maxBootLine {
		err = fmt.Errorf("command line of %d bytes: kernels keep %d", len(line), maxBootLine)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", n.label(c), err)
	}
	return line, nil
}

// completeLine puts words in front of a line: what stands behind "--" is not
// for us.
func completeLine(line string, c Client, root *RemoteRoot) (string, error) {
	args := cmdline.Parse(line)
	var words []string
	if root != nil {
		for _, name := range []string{"root", "rambox.digest", "rambox.mirror"} {
			if _, ok := args.Lookup(name); ok {
				return "", fmt.Errorf("command line: has %s=, which the root image would give it", name)
			}
		}
		more, err := root.Words()
		if err != nil {
			return "", err
		}
		words = append(words, more...)
	}
	// Ethernet is hardware type 1, as PXELINUX has it.
	if _, ok := args.Lookup("BOOTIF"); !ok && len(c.MAC) == 6 {
		words = append(words, "BOOTIF=01-"+dashed(c))
	}
	if line != "" {
		words = append(words, line)
	}
	return strings.Join(words, " "), nil
}

func dashed(c Client) string { return strings.ReplaceAll(c.MAC.String(), ":", "-") }

// fillIn puts what is known of a client in place of the names in a command
// line.
func fillIn(line string, c Client, n Node) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(line, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", errors.New("command line: ${ without }")
		}
		value, err := clientValue(name, c, n)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		line = after
	}
}

func clientValue(name string, c Client, n Node) (string, error) {
	value := ""
	switch name {
	case "mac":
		value = c.MAC.String()
	case "uuid":
		value = swapUUID(c.UUID) // as the system and its tools will print it
	case "hostname":
		value = n.Hostname
		if value == "" {
			value = c.Hostname
		}
	case "ip":
		switch {
		case n.Address.IsValid():
			value = n.Address.String()
		case c.IP.IsValid():
			value = c.IP.String()
		}
	default:
		return "", fmt.Errorf("command line: ${%s}: want ${mac}, ${uuid}, ${hostname} or ${ip}", name)
	}
	if value == "" {
		return "", fmt.Errorf("command line: ${%s}: is not known of this machine", name)
	}
	return value, nil
}

// checkWords refuses what neither iPXE's nor PXELINUX's grammar can carry: they
// have lines, and nothing to quote with.
func checkWords(line string) error {
	for i := range len(line) {
		if c := line[i]; c < ' ' || c == 0x7f {
			return fmt.Errorf("command line: byte %#02x, which a boot loader's configuration cannot carry", c)
		}
	}
	return nil
}
