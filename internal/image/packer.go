package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// packer is a program that packs what is written to it.
type packer struct {
	io.WriteCloser // its standard input
	cmd            *exec.Cmd
	said           bytes.Buffer
}

// startPacker runs a program whose output goes to w. It is to be closed, and
// has written everything then.
func startPacker(w io.Writer, name string, args ...string) (*packer, error) {
	p := &packer{cmd: exec.Command(name, args...)}
	p.cmd.Stdout, p.cmd.Stderr = w, &p.said
	var err error
	if p.WriteCloser, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("the highest level is the %s program's, which is not here: install it, or use -c %[1]s", name)
		}
		return nil, err
	}
	return p, nil
}

func (p *packer) Close() error {
	p.WriteCloser.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w %s", p.cmd.Path, err, strings.TrimSpace(p.said.String()))
	}
	return nil
}
