package boot

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Device says which block device is meant. One of its three forms is filled in.
type Device struct {
	Path string // "/dev/vda1"

	Number       bool
	Major, Minor uint32

	Tag     string // "UUID", "LABEL", "PARTUUID" or "PARTLABEL"
	Value   string
	PartOff int // of PARTUUID=…/PARTNROFF=: so many partitions further on
}

// String is the form that [ParseDevice] reads.
func (d Device) String() string {
	switch {
	case d.Tag != "" && d.PartOff != 0:
		return d.Tag + "=" + d.Value + "/PARTNROFF=" + strconv.Itoa(d.PartOff)
	case d.Tag != "":
		return d.Tag + "=" + d.Value
	case d.Number:
		return fmt.Sprintf("%d:%d", d.Major, d.Minor)
	}
	return d.Path
}

// byTag are the directories in which udev links devices by their tags.
var byTag = [...][2]string{
	{"/dev/disk/by-uuid/", "UUID"},
	{"/dev/disk/by-label/", "LABEL"},
	{"/dev/disk/by-partuuid/", "PARTUUID"},
	{"/dev/disk/by-partlabel/", "PARTLABEL"},
}

var errNoDevice = errors.New("no form of a block device: want /dev/…, UUID=, LABEL=, PARTUUID=, PARTLABEL=, MAJOR:MINOR or a number in hex")

// ParseDevice reads the name of a block device in the kernel's forms
// (early_lookup_bdev, block/early-lookup.c, v6.12) and in those of udev and
// util-linux: "/dev/vda1", "254:1", "fe01", "PARTUUID=…/PARTNROFF=1",
// "PARTLABEL=root", "UUID=…", "LABEL=…", "/dev/disk/by-uuid/…".
func ParseDevice(s string) (Device, error) {
	for _, by := range byTag {
		if name, ok := strings.CutPrefix(s, by[0]); ok && name != "" {
			return Device{Tag: by[1], Value: unescapeUdev(name)}, nil
		}
	}
	switch {
	case strings.HasPrefix(s, "/dev/disk/by-"):
		return Device{}, fmt.Errorf("%s is a link that udev makes, and there is no udev in the initramfs: name the device by UUID=, PARTUUID= or LABEL=", s)
	case strings.HasPrefix(s, "/dev/") && len(s) > len("/dev/"):
		return Device{Path: s}, nil
	}
	if tag, value, ok := strings.Cut(s, "="); ok {
		return parseTag(tag, value)
	}
	if d, ok := parseNumber(s); ok {
		return d, nil
	}
	return Device{}, errNoDevice
}

func parseTag(tag, value string) (Device, error) {
	d := Device{Tag: tag, Value: value}
	switch tag {
	case "UUID", "LABEL", "PARTLABEL":
	case "PARTUUID":
		uuid, off, ok := strings.Cut(value, "/")
		if !ok {
			break
		}
		number, ok := strings.CutPrefix(off, "PARTNROFF=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			return Device{}, fmt.Errorf("%q after the PARTUUID: want /PARTNROFF=NUMBER", "/"+off)
		}
		d.Value, d.PartOff = uuid, n
	default:
		return Device{}, errNoDevice
	}
	if d.Value == "" {
		return Device{}, fmt.Errorf("%s= without a value", tag)
	}
	return d, nil
}

// parseNumber reads "254:1", "254:1:0" and "fe01" (devt_from_devnum in
// block/early-lookup.c; new_decode_dev, include/linux/kdev_t.h, v6.12).
func parseNumber(s string) (Device, bool) {
	if major, minor, ok := strings.Cut(s, ":"); ok {
		minor, offset, more := strings.Cut(minor, ":")
		if more {
			if _, err := strconv.ParseUint(offset, 10, 32); err != nil {
				return Device{}, false
			}
		}
		a, err1 := strconv.ParseUint(major, 10, 12)
		b, err2 := strconv.ParseUint(minor, 10, 20)
		return Device{Number: true, Major: uint32(a), Minor: uint32(b)}, err1 == nil && err2 == nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 32)
	return Device{Number: true, Major: uint32(n & 0xfff00 >> 8), Minor: uint32(n&0xff | n>>12&0xfff00)}, err == nil
}

// unescapeUdev takes back what udev does to characters that a file name should
// not have (udev_util_encode_string): "\x20" is a space.
func unescapeUdev(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
