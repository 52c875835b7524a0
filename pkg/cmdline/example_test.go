package cmdline_test

import (
	"fmt"

	"rambox/pkg/cmdline"
)

func ExampleParse() {
	args := cmdline.Parse(`root=/dev/vda1 ro dyndbg="file drivers/usb/* +p" -- --verbose`)
	for _, word := range args.Words {
		fmt.Println(word)
	}
	fmt.Printf("%q\n", args.Init)
	// Output:
	// root=/dev/vda1
	// ro
	// dyndbg=file drivers/usb/* +p
	// ["--verbose"]
}

func ExampleArgs_Over() {
	defaults := cmdline.Parse("loglevel=4 console=ttyS0 -- serve")
	args := cmdline.Parse("loglevel=7 console=tty0").Over(defaults)
	level, _ := args.Value("loglevel")
	fmt.Println(level, args.Values("console"), args.Init)
	// Output: 7 [ttyS0 tty0] [serve]
}

func ExampleArgs_Values() {
	args := cmdline.Parse("console=tty0 console=ttyS0,115200n8")
	for _, console := range args.Values("console") {
		fmt.Println(console)
	}
	// Output:
	// tty0
	// ttyS0,115200n8
}

func ExampleArgs_Duration() {
	for _, line := range []string{"wait=30", "wait=1m30s", "", "wait=soon"} {
		fmt.Println(cmdline.Parse(line).Duration("wait"))
	}
	// Output:
	// 30s true <nil>
	// 1m30s true <nil>
	// 0s false <nil>
	// 0s false parameter "wait=soon": want seconds such as "30" or a span such as "1m30s", not negative
}

func ExampleArgs_ModuleParams() {
	args := cmdline.Parse(`virtio-net.napi_tx=1 virtio_net.csum=0 usbcore.quirks="a b"`)
	params := args.ModuleParams()
	fmt.Println(params["virtio_net"])
	fmt.Println(params["usbcore"])
	// Output:
	// napi_tx=1 csum=0
	// quirks="a b"
}

func ExampleQuote() {
	for _, word := range []string{"quiet", "greeting=hello there", `say="hi there"`} {
		fmt.Println(cmdline.Quote(word))
	}
	// Output:
	// quiet true
	// greeting="hello there" true
	//  false
}
