package image

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// packedExtension returns the extension of a module or firmware file that the
// distribution has compressed, or "".
func packedExtension(name string) string {
	switch ext := path.Ext(name); ext {
	case ".gz", ".xz", ".zst":
		return ext
	}
	return ""
}

// unpackFile returns the content of a compressed host file. The whole image is
// compressed at once, better, and then PID 1 needs no decompressor.
func unpackFile(name string) (bytesContent, error) {
	f, err := hostFile(name).Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out bytes.Buffer
	if err := unpack(&out, f, packedExtension(name)); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	return out.Bytes(), nil
}

func unpack(w io.Writer, r io.Reader, extension string) error {
	var err error
	switch strings.TrimPrefix(extension, ".") {
	case "gz":
		r, err = gzip.NewReader(r)
	case "xz":
		r, err = xz.NewReader(r)
	case "zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r); err == nil {
			defer z.Close()
			r = z
		}
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return err
}
