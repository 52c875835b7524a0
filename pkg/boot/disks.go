//go:build linux && !nodisk

package boot

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"rambox/pkg/blkid"
)

// probeWait is how long one device may take to be read before others are
// believed without it: a dead disk must not hold up the machine.
const probeWait = 2 * time.Second

// disks is what has been read from the block devices so far.
type disks struct {
	mu    sync.Mutex
	known map[string]*disk // by name: "vda1"
}

// disk is one block device, or a partition of one.
type disk struct {
	name   string
	parent string // of a partition: "vda"
	number int    // of a partition
	id     string // what tells it from an earlier device of the same name
	since  time.Time

	read    bool
	block   blkid.Superblock
	table   blkid.Table
	failure error
}

// findDevice waits for the device of a root and returns its path.
func (m *pid1) findDevice(r Root) (string, error) {
	var device string
	var failure error
	err := m.await("root device "+r.Device.String(), r.Wait, func() bool {
		device, failure = m.lookUp(r.Device)
		return device != "" || failure != nil
	})
	if failure != nil {
		return "", failure
	}
	return device, err
}

// lookUp looks for a device once. No device and no error: it is not there yet.
func (m *pid1) lookUp(d Device) (string, error) {
	switch {
	case d.Path != "":
		var st unix.Stat_t
		if unix.Stat(d.Path, &st) != nil {
			return "", nil
		}
		if st.Mode&unix.S_IFMT != unix.S_IFBLK {
			return "", fmt.Errorf("root device %s is not a block device", d.Path)
		}
		return d.Path, nil
	case d.Number:
		link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", d.Major, d.Minor))
		if err != nil {
			return "", nil
		}
		return devicePath(path.Base(link)), nil
	}
	found, pending := m.disks.find(m, d)
	switch {
	case pending || len(found) == 0:
		return "", nil
	case len(found) == 1 || m.joinBtrfs(found):
		return devicePath(found[0].name), nil
	}
	names := make([]string, len(found))
	for i, k := range found {
		names[i] = devicePath(k.name)
	}
	return "", fmt.Errorf("%s is on %s: name one of them by UUID=, PARTUUID= or its path", d, strings.Join(names, " and on "))
}

// joinBtrfs tells whether devices are the parts of one btrfs, and has the
// kernel know them all: it mounts any of them then (BTRFS_IOC_SCAN_DEV,
// <linux/btrfs.h>).
func (m *pid1) joinBtrfs(parts []*disk) bool {
	for _, k := range parts {
		if k.block.Type != "btrfs" || k.block.UUID != parts[0].block.UUID || k.block.SubUUID == parts[0].block.SubUUID && k != parts[0] {
			return false
		}
	}
	m.loadFor("fs-btrfs")
	const scanDevice = 0x50009404
	control, err := unix.Open("/dev/btrfs-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		m.log.Warnf("open /dev/btrfs-control: %v", err)
		return true // the mount says what is missing
	}
	defer unix.Close(control)
	for _, k := range parts {
		var volume struct {
			_    int64
			name [4088]byte
		}
		copy(volume.name[:len(volume.name)-1], devicePath(k.name))
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(control), scanDevice, uintptr(unsafe.Pointer(&volume))); errno != 0 {
			m.log.Warnf("btrfs: scan %s: %v", devicePath(k.name), errno)
		}
	}
	return true
}

// devicePath is the node of a device; a slash in its name is an exclamation
// mark in sysfs.
func devicePath(name string) string { return "/dev/" + strings.ReplaceAll(name, "!", "/") }

// find returns the devices with a tag, among those that have been read, and has
// the others read. pending: some may still answer in time.
func (s *disks) find(m *pid1, d Device) (found []*disk, pending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(m)
	for _, k := range s.sorted() {
		if !k.read {
			pending = pending || time.Since(k.since) < probeWait
			continue
		}
		if !s.has(k, d) {
			continue
		}
		if d.PartOff != 0 {
			if k = s.sibling(k, d.PartOff); k == nil {
				continue
			}
		}
		found = append(found, k)
	}
	return found, pending
}

// has tells whether a device has a tag.
func (s *disks) has(k *disk, d Device) bool {
	switch d.Tag {
	case "UUID":
		return strings.EqualFold(k.block.UUID, d.Value) && d.Value != ""
	case "LABEL":
		return k.block.Label == d.Value
	}
	p, ok := s.partition(k)
	switch {
	case !ok:
		return false
	case d.Tag == "PARTUUID":
		return strings.EqualFold(p.UUID, d.Value)
	}
	return p.Name == d.Value
}

// partition is a partition's entry in the table of its disk.
func (s *disks) partition(k *disk) (blkid.Partition, bool) {
	parent := s.known[k.parent]
	if parent == nil || !parent.read {
		return blkid.Partition{}, false
	}
	i := slices.IndexFunc(parent.table.Parts, func(p blkid.Partition) bool { return p.Number == k.number })
	if i < 0 {
		return blkid.Partition{}, false
	}
	return parent.table.Parts[i], true
}

func (s *disks) sibling(k *disk, off int) *disk {
	for _, o := range s.known {
		if o.parent == k.parent && o.parent != "" && o.number == k.number+off {
			return o
		}
	}
	return nil
}

func (s *disks) sorted() []*disk {
	names := make([]string, 0, len(s.known))
	for name := range s.known {
		names = append(names, name)
	}
	slices.Sort(names)
	all := make([]*disk, len(names))
	for i, name := range names {
		all[i] = s.known[name]
	}
	return all
}

// refresh notes which devices there are, and begins to read those that are new.
func (s *disks) refresh(m *pid1) {
	if s.known == nil {
		s.known = map[string]*disk{}
	}
	there := map[string]bool{}
	for _, name := range list("/sys/class/block") {
		k := identify(name)
		if k == nil {
			continue
		}
		there[name] = true
		if old := s.known[name]; old != nil && old.id == k.id {
			continue
		}
		s.known[name] = k
		m.spawn(func() { s.probe(m, k) })
		time.AfterFunc(probeWait, m.events.wake)
	}
	for name := range s.known {
		if !there[name] {
			delete(s.known, name)
		}
	}
}

// identify reads what sysfs says of a device; nil for one that holds nothing.
func identify(name string) *disk {
	if strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "zram") {
		return nil
	}
	base := "/sys/class/block/" + name
	size, err := readFile(base + "/size")
	if text := strings.TrimSpace(string(size)); err != nil || text == "0" {
		return nil
	}
	number, _ := readFile(base + "/dev")
	k := &disk{name: name, id: string(number) + string(size), since: time.Now()}
	// diskseq is there since Linux 5.15, in the disk's own directory.
	if seq, err := readFile(base + "/diskseq"); err == nil {
		k.id += string(seq)
	}
	if n, err := readFile(base + "/partition"); err == nil {
		k.number, _ = strconv.Atoi(strings.TrimSpace(string(n)))
		if link, err := os.Readlink(base); err == nil {
			k.parent = path.Base(path.Dir(link))
		}
	}
	return k
}

// probe reads a device. The file system of a disk that does not answer is
// unknown, and it keeps its thread.
func (s *disks) probe(m *pid1, k *disk) {
	block, table, err := readDevice(devicePath(k.name), k.parent == "")
	s.mu.Lock()
	k.read, k.block, k.table, k.failure = true, block, table, err
	s.mu.Unlock()
	m.events.wake()
}

// readDevice reads the superblock of a device, and the partition table of one
// that is no partition itself.
func readDevice(device string, whole bool) (blkid.Superblock, blkid.Table, error) {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return blkid.Superblock{}, blkid.Table{}, fmt.Errorf("open %s: %w", device, err)
	}
	defer unix.Close(fd)
	size, err := unix.Seek(fd, 0, 2)
	if err != nil {
		return blkid.Superblock{}, blkid.Table{}, fmt.Errorf("size of %s: %w", device, err)
	}
	block, err := blkid.Probe(program(fd), size)
	if errors.Is(err, blkid.ErrNone) {
		err = nil
	}
	var table blkid.Table
	if whole {
		sector, ioctlErr := unix.IoctlGetInt(fd, unix.BLKSSZGET)
		if ioctlErr != nil {
			sector = 512
		}
		// A disk need not have one.
		table, _ = blkid.ReadTable(program(fd), size, int64(sector))
	}
	return block, table, err
}

// typeOf returns the file system on a device, nil if it is not known.
func (m *pid1) typeOf(device string) (types []string, err error) {
	var block blkid.Superblock
	if !within(probeWait, func() { block, _, err = readDevice(device, false) }) {
		return nil, fmt.Errorf("%s does not answer", device)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", device, err)
	}
	switch block.Usage {
	case "":
		return nil, nil
	case blkid.Filesystem:
		return []string{block.Type}, nil
	}
	if block.Usage == blkid.Other {
		return nil, fmt.Errorf("%s holds %s, no file system", device, block.Type)
	}
	return nil, fmt.Errorf("%s holds %s, no file system: a hook of the image has to open it first (docs/helpers.md)", device, block.Type)
}

// blockDevices is a table of all devices: size, type, UUID, LABEL, PARTUUID and
// PARTLABEL.
func (m *pid1) blockDevices() []string {
	s := &m.disks
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(m)
	deadline := time.Now().Add(probeWait)
	for slices.ContainsFunc(s.sorted(), func(k *disk) bool { return !k.read }) && time.Now().Before(deadline) {
		next := m.events.next()
		s.mu.Unlock()
		select {
		case <-next:
		case <-time.After(time.Until(deadline)):
		}
		s.mu.Lock()
	}
	var lines []string
	for _, k := range s.sorted() {
		if strings.HasPrefix(k.name, "loop") {
			continue
		}
		lines = append(lines, s.describe(k))
	}
	return lines
}

func (s *disks) describe(k *disk) string {
	what := []string{k.block.Type}
	switch {
	case !k.read:
		what = []string{"does not answer"}
	case k.failure != nil:
		what = []string{k.failure.Error()}
	case k.block.Type == "" && len(k.table.Parts) > 0:
		what = []string{k.table.Type + " partition table"}
		if k.table.Backup {
			what = append(what, "(damaged; its backup at the end of the disk is good: gpt on the kernel's line has the kernel take that)")
		}
	case k.block.Type == "":
		what = []string{"nothing that we know"}
	}
	add := func(tag, value string) {
		if value != "" {
			what = append(what, tag+"="+printable(value))
		}
	}
	add("UUID", k.block.UUID)
	add("LABEL", k.block.Label)
	if p, ok := s.partition(k); ok {
		add("PARTUUID", p.UUID)
		add("PARTLABEL", p.Name)
	}
	return fmt.Sprintf("%-14s %10s  %s", devicePath(k.name), sizeOf(k.name), strings.Join(what, " "))
}

// printable keeps what somebody has written on a disk from talking to the
// terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// sizeOf reads a size from sysfs, which counts sectors of 512 bytes whatever
// the device's own are.
func sizeOf(name string) string {
	b, err := readFile("/sys/class/block/" + name + "/size")
	n, numErr := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || numErr != nil {
		return "?"
	}
	return strconv.FormatInt(n>>11, 10) + " MiB"
}
