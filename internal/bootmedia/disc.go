package bootmedia

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"
)

// Disc is a CD image, which boots from a USB stick too when it is written there
// as it is.
type Disc struct {
	Label  string    // of the volume: capital letters, digits and _, at most 11
	Time   time.Time // of everything on it
	Menu   []Choice  // the first is taken when nobody chooses
	Kernel *io.SectionReader
	Initrd *io.SectionReader
	BIOS   *ISOLINUX    // nil: it does not boot by BIOS
	EFI    *SystemdBoot // nil: nor by UEFI
}

// Choice is a way to boot.
type Choice struct {
	Name    string // what a person types at ISOLINUX: "dhcp"
	Title   string // "Rambox, with the network"
	Cmdline string // kernel parameters
}

// ISOLINUX is the boot loader for BIOS, by the names of its files.
type ISOLINUX struct{ Bin, Core, MBR []byte } // isolinux.bin, ldlinux.c32, isohdpfx.bin

// SystemdBoot is the boot loader for UEFI.
type SystemdBoot struct {
	Arch    string // GOARCH
	Program []byte // systemd-bootx64.efi
}

// maxCmdline is what a kernel keeps of its parameters, less what the boot
// loaders put before them.
const maxCmdline = 2047 - 64

// maxContent is a bit less than what fits on the largest FAT16 file system.
// ISOLINUX cannot load more either: it has to put all below 2 GiB.
const maxContent = 65500 * 32768

// menuSeconds is how long the boot loaders wait for a choice.
const menuSeconds = 3

// The kernel and its initramfs, on both file systems.
const (
	kernelPath = "boot/vmlinuz"
	initrdPath = "boot/initrd.img"
)

// Where everything is that is at the same place on each disc, in sectors.
const (
	descriptorSector = 16
	recordSector     = 17
	endSector        = 18
	tableLSector     = 19 // 20 directories fit in the one sector that a path table has here
	tableMSector     = 20
	catalogSector    = 21
	firstSector      = 22
)

// Write writes the image and returns its size in bytes.
func (d *Disc) Write(w io.Writer) (int64, error) {
	if err := d.check(); err != nil {
		return 0, err
	}
	l, err := d.layout()
	if err != nil {
		return 0, err
	}
	buffered := bufio.NewWriterSize(w, 1<<20)
	if err := writeExtents(buffered, l.extents, l.size); err != nil {
		return 0, err
	}
	return l.size, buffered.Flush()
}

func (d *Disc) check() error {
	if d.BIOS == nil && d.EFI == nil {
		return errors.New("a disc for neither BIOS nor UEFI")
	}
	if d.Kernel.Size()+d.Initrd.Size() > maxContent {
		return errors.New("the kernel and its initramfs come to more than 2 GiB, which boot loaders cannot load")
	}
	if len(d.Menu) == 0 {
		return errors.New("a disc without anything to boot")
	}
	for _, c := range d.Menu {
		if err := checkCmdline(c.Cmdline); err != nil {
			return err
		}
	}
	return nil
}

// checkCmdline refuses what boot loaders cannot have in their files, and what
// the kernel would cut off.
func checkCmdline(line string) error {
	if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return fmt.Errorf("kernel parameters %q: a boot loader takes one line without control characters", line)
	}
	if len(line) > maxCmdline {
		return fmt.Errorf("the kernel parameters have %d bytes, and a boot loader passes on %d; put them into the image with --cmdline", len(line), maxCmdline)
	}
	return nil
}

// discLayout is a disc whose pieces have their places.
type discLayout struct {
	tree    *isoTree
	extents []extent
	next    int64 // the first free byte
	size    int64
	id      uint32
}

// layout gives everything its place: descriptors, directories, ISOLINUX, and
// last the EFI system partition, whose kernel and initramfs are those of the CD.
func (d *Disc) layout() (*discLayout, error) {
	files := []string{kernelPath, initrdPath}
	own := d.isolinuxFiles()
	for _, f := range own {
		files = append(files, f.Path)
	}
	tree, err := newISOTree(files)
	if err != nil {
		return nil, err
	}
	l := &discLayout{tree: tree}
	if l.id, err = d.id(); err != nil {
		return nil, err
	}
	l.next = int64(tree.placeDirs(firstSector)) * sector
	var images []bootImage
	isolinux := uint32(0)
	for i, f := range own {
		if i == 0 {
			isolinux = uint32(l.next / sector)
			patched, err := patchISOLINUX(d.BIOS.Bin, descriptorSector, isolinux)
			if err != nil {
				return nil, err
			}
			f = Bytes(f.Path, patched)
			images = append(images, bootImage{platformPC, isolinux, 4})
		}
		l.add(f)
	}
	esp := int64(0)
	if d.EFI != nil {
		at := uint32(l.next / sector)
		if esp, err = l.addESP(d); err != nil {
			return nil, err
		}
		units := esp / 512
		if units > 0xffff {
			units = 0 // to the end of the disc (UEFI 2.10, 13.3.2.1)
		}
		images = append(images, bootImage{platformEFI, at, uint16(units)})
	} else {
		l.add(File{kernelPath, d.Kernel})
		l.add(File{initrdPath, d.Initrd})
	}
	return l, l.finish(d, images, isolinux, esp)
}

// add puts a file of the ISO file system at the next free sector.
func (l *discLayout) add(f File) {
	l.tree.place(f.Path, l.next, f.Data.Size())
	l.extents = append(l.extents, extent{l.next, f.Path, f.Data})
	l.next += roundUp(f.Data.Size(), sector)
}

// addESP puts the EFI system partition there and returns its size.
func (l *discLayout) addESP(d *Disc) (int64, error) {
	v, err := layoutFAT(d.espFiles(), l.id, d.Label, d.Time)
	if err != nil {
		return 0, err
	}
	for _, e := range v.extents {
		e.offset += l.next
		l.extents = append(l.extents, e)
	}
	for name, data := range map[string]*io.SectionReader{kernelPath: d.Kernel, initrdPath: d.Initrd} {
		l.tree.place(name, l.next+v.at[name], data.Size())
	}
	size := roundUp(v.size, sector)
	l.next += size
	return size, nil
}

// finish adds what says where everything is.
func (l *discLayout) finish(d *Disc, images []bootImage, isolinux uint32, esp int64) error {
	l.size = l.next
	var code []byte
	if d.BIOS != nil {
		code = d.BIOS.MBR
	}
	mbr, err := hybridMBR(code, isolinux, l.id, l.size, esp)
	if err != nil {
		return err
	}
	put := func(at uint32, name string, b []byte) {
		l.extents = append(l.extents, extent{int64(at) * sector, name, section(b)})
	}
	put(0, "the MBR", mbr)
	put(descriptorSector, "the volume descriptor", l.tree.descriptor(d.Label, uint32(l.size/sector), tableLSector, tableMSector, d.Time))
	put(recordSector, "the boot record", bootRecord(catalogSector))
	put(endSector, "the last descriptor", []byte("\xffCD001\x01"))
	put(tableLSector, "a path table", l.tree.pathTable(binary.LittleEndian))
	put(tableMSector, "a path table", l.tree.pathTable(binary.BigEndian))
	put(catalogSector, "the boot catalog", catalog(images))
	for i, e := range l.tree.entries[:l.tree.dirs] {
		put(e.sector, "directory /"+e.path, l.tree.directory(i, d.Time))
	}
	return nil
}

// id tells discs apart: by their content, so that it is the same each time.
func (d *Disc) id() (uint32, error) {
	sum := crc32.NewIEEE()
	for _, f := range []File{{kernelPath, d.Kernel}, {initrdPath, d.Initrd}} {
		if _, err := io.Copy(sum, io.NewSectionReader(f.Data, 0, f.Data.Size())); err != nil {
			return 0, fmt.Errorf("read %s: %w", f.Path, err)
		}
	}
	for _, c := range d.Menu {
		io.WriteString(sum, c.Cmdline)
	}
	return sum.Sum32(), nil
}

// isolinuxFiles are ISOLINUX and its configuration; isolinux.bin is the first.
func (d *Disc) isolinuxFiles() []File {
	if d.BIOS == nil {
		return nil
	}
	var names []string
	for _, c := range d.Menu {
		names = append(names, c.Name)
	}
	var b strings.Builder
	// SERIAL has to be the first. The port is used only if the machine has it.
	fmt.Fprintf(&b, "SERIAL 0 115200\nDISPLAY boot.msg\nDEFAULT %s\nPROMPT 1\nTIMEOUT %d\n", names[0], menuSeconds*10)
	for _, c := range d.Menu {
		fmt.Fprintf(&b, "LABEL %s\n LINUX /%s\n INITRD /%s\n APPEND %s\n", c.Name, kernelPath, initrdPath, c.Cmdline)
	}
	return []File{
		Bytes("isolinux/isolinux.bin", d.BIOS.Bin),
		Bytes("isolinux/ldlinux.c32", d.BIOS.Core),
		Bytes("isolinux/isolinux.cfg", []byte(b.String())),
		Bytes("isolinux/boot.msg", fmt.Appendf(nil, "Type %s, and kernel parameters behind it; or wait.\n", strings.Join(names, " or "))),
	}
}

// efiNames are the programs that UEFI starts from a removable medium, by
// architecture (UEFI 2.10, table 3.2).
var efiNames = map[string]string{"amd64": "BOOTX64.EFI", "arm64": "BOOTAA64.EFI", "386": "BOOTIA32.EFI", "riscv64": "BOOTRISCV64.EFI"}

// espFiles are what the EFI system partition has. Entries are those of the Boot
// Loader Specification, type 1.
func (d *Disc) espFiles() []File {
	files := []File{
		Bytes("EFI/BOOT/"+efiNames[d.EFI.Arch], d.EFI.Program),
		Bytes("loader/loader.conf", fmt.Appendf(nil, "default %s.conf\ntimeout %d\n", d.Menu[0].Name, menuSeconds)),
	}
	for i, c := range d.Menu {
		files = append(files, Bytes("loader/entries/"+c.Name+".conf", fmt.Appendf(nil,
			"title %s\nsort-key %d\nlinux /%s\ninitrd /%s\noptions %s\n", c.Title, i, kernelPath, initrdPath, c.Cmdline)))
	}
	return append(files, File{kernelPath, d.Kernel}, File{initrdPath, d.Initrd})
}
