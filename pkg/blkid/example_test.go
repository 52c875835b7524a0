package blkid_test

import (
	"errors"
	"fmt"
	"os"

	"rambox/pkg/blkid"
)

func ExampleProbe() {
	b, _ := os.ReadFile("testdata/probe/fat12.sectors")
	disk := parseImage(b) // or an *os.File of a device

	sb, err := blkid.Probe(disk, disk.size)
	var ambiguous *blkid.AmbiguousError
	switch {
	case errors.Is(err, blkid.ErrNone):
		fmt.Println("nothing, or partitions")
	case errors.As(err, &ambiguous):
		fmt.Println(ambiguous.Candidates)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Printf("%s %s UUID=%s LABEL=%q\n", sb.Usage, sb.Type, sb.UUID, sb.Label)
	}
	// Output: filesystem vfat UUID=2E24-EC82 LABEL="BOOT"
}

func ExampleReadTable() {
	b, _ := os.ReadFile("testdata/table/gpt.sectors")
	disk := parseImage(b)

	table, err := blkid.ReadTable(disk, disk.size, 512)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(table.Type, table.UUID)
	for _, p := range table.Parts[:1] {
		fmt.Printf("%d: %d bytes at %d, PARTUUID=%s PARTLABEL=%q\n", p.Number, p.Size, p.Start, p.UUID, p.Name)
	}
	// Output:
	// gpt 3e6be9de-8139-11d1-9106-a43f08d823a6
	// 1: 1048576 bytes at 1048576, PARTUUID=0fc63daf-8483-4772-8e79-3d69d8477de4 PARTLABEL="Grün"
}
