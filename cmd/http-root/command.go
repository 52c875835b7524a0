//go:build linux

package main

import (
	"context"
	"errors"
	"io"

	"rambox/pkg/cmdline"
)

const usage = `usage: http-root ROOT TARGET

Fetches a root image into memory and mounts it on the directory TARGET. ROOT is
its URL, http:// or https://, or several URLs of the same image separated by
commas. Init runs it as /lib/rambox/root/http and /lib/rambox/root/https.

The image is a squashfs, erofs or ext2/3/4 file system, or a tar or cpio (newc)
archive, plain or compressed by gzip, zstd or xz; an archive is unpacked.

RAMBOX_CMDLINE has parameters, in the grammar of the kernel's command line:
  rambox.digest=sha256:HEX  what the image must be; nothing else is ever mounted
  rambox.insecure           take an image without a digest
  rambox.mirror=URL         where the image is as well; may be repeated
  rootfstype=, rootflags=, ro, rw

SSL_CERT_FILE and SSL_CERT_DIR say where CA certificates are, and http_proxy,
https_proxy and no_proxy which proxy to use.

exit status: 0 mounted, 1 not mounted (the last line says why), 2 bad arguments
`

// The exit statuses.
const (
	mounted = iota
	notMounted
	badArguments
)

// command is the main function. words is the command line of the machine.
func command(ctx context.Context, args []string, words string, stdout io.Writer, log logger) int {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		io.WriteString(stdout, usage)
		return mounted
	}
	if len(args) != 2 {
		log.printf("usage: http-root ROOT TARGET; http-root --help says more")
		return badArguments
	}
	p, err := newPlan(args[0], args[1], cmdline.Parse(words))
	if err != nil {
		log.printf("%v", err)
		return badArguments
	}
	err = p.run(ctx, log)
	switch {
	case err == nil:
		return mounted
	case errors.Is(err, context.Canceled):
		log.printf("stopped by a signal; %s is not mounted", p.target)
	default:
		log.printf("%v", err)
	}
	return notMounted
}

// run fetches the image, and mounts it once it is known to be the right one.
func (p plan) run(ctx context.Context, log logger) error {
	limit, err := freeMemory()
	if err != nil {
		return err
	}
	img, err := newImage()
	if err != nil {
		return err
	}
	defer img.file.Close()
	if err := newFetcher(p, img, limit, systemRoots(log), log).fetch(ctx); err != nil {
		return err
	}
	kind, err := img.format()
	if err != nil {
		return err
	}
	if kind.isArchive() {
		return p.unpackRoot(ctx, img, kind, log)
	}
	return p.mountImage(img, kind, log)
}
