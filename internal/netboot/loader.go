package netboot

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"
)

// digestPatience is how long a machine that asks for its script waits for the
// digest of its root image. It asks again.
const digestPatience = 20 * time.Second

// Loader says what a node loads from this server, for Generator.Load.
type Loader struct {
	Shelf   *Shelf
	Digests *Digests
	Servers []string // base URLs of HTTP, in the order in which they are tried
}

// Shelve serves the files of a node that are named by their absolute paths.
func (s *Shelf) Shelve(n Node) {
	for _, file := range []string{n.Kernel, n.Image, n.Root} {
		if filepath.IsAbs(file) {
			s.Add(file)
		}
	}
}

// name is that of a node's file in the tree: one that is not an absolute path
// has it already.
func (s *Shelf) name(file string) string {
	if filepath.IsAbs(file) {
		return FileName(file)
	}
	return filepath.ToSlash(file)
}

// Load implements Generator.Load.
func (l Loader) Load(c Client, n Node) (Load, error) {
	load := Load{Servers: l.Servers, Kernel: l.Shelf.name(n.Kernel)}
	if n.Kernel == "" {
		return Load{}, fmt.Errorf("%s: no kernel", n.label(c))
	}
	if n.Image != "" {
		load.Initrd = l.Shelf.name(n.Image)
	}
	root, err := l.root(n)
	if err != nil {
		return Load{}, fmt.Errorf("%s: %w", n.label(c), err)
	}
	load.Cmdline, err = BootLine(c, n, root)
	return load, err
}

// root is the image for the first stage of a node; nil: it has none.
func (l Loader) root(n Node) (*RemoteRoot, error) {
	if n.Root == "" {
		return nil, nil
	}
	name := l.Shelf.name(n.Root)
	file, err := l.Shelf.Open(name, netip.Addr{})
	if err != nil {
		return nil, fmt.Errorf("root image: %w", err)
	}
	defer file.Close()
	ctx, cancel := context.WithTimeoutCause(context.Background(), digestPatience, fmt.Errorf("root image %s: its digest takes longer than %s to compute; try again later", n.Root, digestPatience))
	defer cancel()
	digest, err := l.Digests.Of(ctx, file)
	if err != nil {
		return nil, err
	}
	return &RemoteRoot{Name: name, Digest: digest, Servers: l.Servers}, nil
}
