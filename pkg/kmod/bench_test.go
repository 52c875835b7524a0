package kmod

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// largeIndex is as large as that of a distribution's kernel: 4,000 modules and 26,000 aliases.
func largeIndex() fstest.MapFS {
	var dep, alias strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&dep, "kernel/drivers/group%d/driver-%d.ko: kernel/drivers/group%d/core-%d.ko kernel/lib/lib%d.ko\n", i%50, i, i%50, i%50, i%200)
	}
	for i := range 9000 {
		fmt.Fprintf(&alias, "alias pci:v0000%04Xd0000%04Xsv*sd*bc*sc*i* driver_%d\n", 0x1000+i/30*7, i*31%0xffff, i/3)
		fmt.Fprintf(&alias, "alias usb:v%04Xp%04Xd*dc*dsc*dp*ic*isc*ip*in* driver_%d\n", 0x0400+i/10*3, i*17%0xffff, i/3)
	}
	for i := range 8000 {
		fmt.Fprintf(&alias, "alias of:N*T*Cvendor%d,chip%d driver_%d\n", i%40, i, i/2)
	}
	return fstest.MapFS{"modules.dep": file(dep.String()), "modules.alias": file(alias.String())}
}

// BenchmarkColdIndex reads an index and answers one question of each kind, which builds the tables.
func BenchmarkColdIndex(b *testing.B) {
	b.Run("small", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x, err := ReadIndex(os.DirFS("testdata/modules"))
			if err != nil {
				b.Fatal(err)
			}
			x.alias.matches("virtio:d00000002v00001AF4")
			x.Module("virtio_blk")
		}
	})
	b.Run("large", func(b *testing.B) {
		b.ReportAllocs()
		dir := largeIndex()
		for b.Loop() {
			x, err := ReadIndex(dir)
			if err != nil {
				b.Fatal(err)
			}
			x.alias.matches("virtio:d00000002v00001AF4")
			x.Module("driver_1")
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	small := testIndex(b)
	large, err := ReadIndex(largeIndex())
	if err != nil {
		b.Fatal(err)
	}
	for _, modalias := range []string{
		"pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00",
		"usb:v0424p9D01d0100dc09dsc00dp01ic09isc00ip00in00",
		"of:Nserial1T(null)Cvendor7,chip47Cother,chip",
	} {
		bus, _, _ := strings.Cut(modalias, ":")
		b.Run("small/"+bus, func(b *testing.B) {
			for b.Loop() {
				small.alias.matches(modalias)
			}
		})
		b.Run("large/"+bus, func(b *testing.B) {
			for b.Loop() {
				large.alias.matches(modalias)
			}
		})
	}
}
