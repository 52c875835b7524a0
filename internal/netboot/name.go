package netboot

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// maxName is how many bytes a file name of a request may have.
const maxName = 255

var errNoName = errors.New("request without a file name")

// cleanName turns the file name of a request into a path within the served
// tree, such as "pxelinux.cfg/default". It undoes what boot ROMs add: bytes
// 0xff at the end (the end mark of DHCP's options, which they copy along with
// the name), a drive letter, backslashes, slashes in front. ".." never leads
// out of the tree.
func cleanName(raw string) (string, error) {
	name := raw
	for len(name) > 0 && name[len(name)-1] == 0xff {
		name = name[:len(name)-1]
	}
	if len(name) > maxName {
		return "", fmt.Errorf("file name of %d bytes: want at most %d", len(name), maxName)
	}
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("file name %q: is not UTF-8", name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("file name %q: has a control character", name)
	}
	name = strings.ReplaceAll(name, `\`, "/")
	if len(name) >= 2 && name[1] == ':' && isLetter(name[0]) {
		name = name[2:]
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "", errNoName
	}
	return name, nil
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
