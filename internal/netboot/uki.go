package netboot

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"rambox/internal/bootmedia"
)

// UKIName is the name of a machine's unified kernel image, for [BootConfig]: the
// path of a URL or for TFTP, after its names have been filled in. By its end
// firmware knows a program.
const UKIName = "uki/mac=${mac},uuid=${uuid},arch=${arch}.efi"

// UKIs makes unified kernel images: a node's kernel, image and command line in
// one program, for firmware of UEFI that has no other boot program. None is
// stored: an image is a header, and the rest is read where it is.
type UKIs struct {
	Generator *Generator        // says what a client loads
	Shelf     *Shelf            // has the kernels and images
	Stubs     map[string][]byte // systemd's stub by [Arch.CPU]
}

// ukiArch is Go's name for an architecture that there are unified kernel images
// for, by [Arch.CPU]; "": there are none.
func ukiArch(cpu string) string {
	switch cpu {
	case "x64":
		return "amd64"
	case "arm64", "riscv64":
		return cpu
	}
	return ""
}

// Make is what Shelf.Program wants.
func (u *UKIs) Make(name string, from netip.Addr) (_ *Content, ok bool, err error) {
	c, ok := ukiName(name, from)
	if !ok {
		return nil, false, nil
	}
	stub, ok := u.Stubs[c.Arch.CPU()]
	if !ok {
		return nil, false, nil
	}
	if u.Generator.Known != nil {
		c = u.Generator.Known(c)
	}
	n, load, err := u.Generator.find(c)
	if err != nil {
		return nil, false, err
	}
	p := &ukiParts{stub: stub, line: load.Cmdline}
	if err := p.open(u.Shelf, load, ukiArch(c.Arch.CPU()), from); err != nil {
		return nil, false, errors.Join(fmt.Errorf("%s: %w", n.label(c), err), p.close())
	}
	return &Content{Name: name, Size: p.layout.Size(), parts: p}, true, nil
}

// ukiName reads UKIName.
func ukiName(name string, from netip.Addr) (c Client, ok bool) {
	fields, ok := strings.CutPrefix(name, "uki/")
	if !ok {
		return c, false
	}
	if fields, ok = strings.CutSuffix(fields, ".efi"); !ok {
		return c, false
	}
	return clientFields(fields, from)
}

// ukiParts is what a unified kernel image is made of.
type ukiParts struct {
	layout *bootmedia.Layout
	stub   []byte
	line   string
	files  []*Content // kernel, and image if there is one
}

// open opens the files and puts everything in its place.
func (p *ukiParts) open(shelf *Shelf, load Load, arch string, from netip.Addr) error {
	u := bootmedia.UKI{Arch: arch, Stub: p.stub, Cmdline: p.line}
	for _, part := range [...]struct {
		name string
		to   **io.SectionReader
	}{{load.Kernel, &u.Kernel}, {load.Initrd, &u.Initrd}} {
		if part.name == "" {
			continue
		}
		c, err := shelf.Open(part.name, from)
		if err != nil {
			return err
		}
		p.files = append(p.files, c)
		*part.to = io.NewSectionReader(c, 0, c.Size)
	}
	if u.Kernel == nil {
		return errors.New("no kernel")
	}
	if err := bootmedia.CheckEFIStub(u.Kernel, arch); err != nil {
		return fmt.Errorf("kernel %s: %w", load.Kernel, err)
	}
	var err error
	p.layout, err = u.Layout()
	return err
}

func (p *ukiParts) close() error {
	var all error
	for _, c := range p.files {
		all = errors.Join(all, c.Close())
	}
	return all
}

// digest is one of all parts, and not of the image, which has another for each
// machine: those of the files are known already.
func (p *ukiParts) digest(ctx context.Context, d *Digests) (Digest, error) {
	h := sha256.New()
	for _, b := range [...][]byte{[]byte("rambox uki"), p.stub, []byte(p.line)} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	for _, c := range p.files {
		file, err := d.Of(ctx, c)
		if err != nil {
			return Digest{}, err
		}
		h.Write(file[:])
	}
	return Digest(h.Sum(nil)), nil
}
