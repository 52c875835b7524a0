package kmod_test

import (
	"fmt"
	"os"

	"rambox/pkg/kmod"
)

// What an image builder asks: which files does a machine with this device need, and in which order do they load?
func Example() {
	index, err := kmod.ReadIndex(os.DirFS("testdata/modules")) // as a rule /lib/modules/<release>
	if err != nil {
		fmt.Println(err)
		return
	}
	names := index.Match("virtio:d00000002v00001AF4")
	modules, err := index.Closure(names...)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range modules {
		fmt.Println(m.Path)
	}
	// Output:
	// kernel/drivers/virtio/virtio_ring.ko
	// kernel/drivers/virtio/virtio.ko
	// kernel/drivers/block/virtio_blk.ko
}
