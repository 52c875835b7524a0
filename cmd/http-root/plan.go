//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/sys/unix"

	"rambox/pkg/boot"
	"rambox/pkg/cmdline"
)

// plan is what the arguments and the command line ask for.
type plan struct {
	mirrors []*url.URL // in the order in which they are asked
	digest  *digest    // what the image must have; nil: any image will do
	target  string     // "/newroot"
	types   []string   // rootfstype=; nil: what the image's first bytes say
	flags   uintptr    // of mount(2), without MS_RDONLY
	data    string     // rootflags= for the file system itself
	access  access
}

// access is the last one of ro and rw on the command line.
type access string

const (
	unsaid    access = ""
	readOnly  access = "ro"
	readWrite access = "rw"
)

// newPlan reads root, a list of URLs, and the parameters. It does no I/O.
func newPlan(root, target string, args cmdline.Args) (plan, error) {
	p := plan{target: target}
	for _, list := range append([]string{root}, args.Values("rambox.mirror")...) {
		for _, text := range splitURLs(list) {
			u, err := parseURL(text)
			if err != nil {
				return plan{}, err
			}
			p.mirrors = append(p.mirrors, u)
		}
	}
	if len(p.mirrors) == 0 {
		return plan{}, errors.New("no URL of a root image; give root=https://HOST/PATH")
	}
	if err := p.readDigest(args); err != nil {
		return plan{}, err
	}
	for _, list := range args.Values("rootfstype") {
		p.types = nil // the last one counts
		for t := range strings.SplitSeq(list, ",") {
			if t != "" && t != "auto" {
				p.types = append(p.types, t)
			}
		}
	}
	for _, list := range args.Values("rootflags") {
		flags, data := boot.ParseOptions(list)
		p.flags |= flags
		p.data = strings.Trim(p.data+","+data, ",")
	}
	// ro and rw count more than rootflags=, as with a root on a disk.
	p.flags &^= unix.MS_RDONLY
	for _, w := range args.Words {
		if !w.HasValue && (w.Name == string(readOnly) || w.Name == string(readWrite)) {
			p.access = access(w.Name)
		}
	}
	return p, nil
}

func (p *plan) readDigest(args cmdline.Args) error {
	insecure, _, err := args.Bool("rambox.insecure")
	if err != nil {
		return err
	}
	text, given := args.Value("rambox.digest")
	if !given {
		if insecure {
			return nil
		}
		return errors.New("root image without a digest: give rambox.digest=sha256:HEX (sha256sum IMAGE prints it), or rambox.insecure to take whatever comes")
	}
	d, err := parseDigest(text)
	p.digest = &d
	return err
}

// splitURLs splits at commas. One that no URL follows belongs to the URL that it
// is in: RFC 3986 allows it there.
func splitURLs(list string) []string {
	var urls []string
	for part := range strings.SplitSeq(list, ",") {
		scheme, _, ok := strings.Cut(part, "://")
		isURL := ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
		if !isURL && len(urls) > 0 {
			urls[len(urls)-1] += "," + part
			continue
		}
		if part != "" {
			urls = append(urls, part)
		}
	}
	for i := range urls {
		urls[i] = strings.TrimRight(urls[i], ",")
	}
	return urls
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("root image: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("root image %q: want http://HOST/PATH or https://HOST/PATH", u.Redacted())
	}
	return u, nil
}
