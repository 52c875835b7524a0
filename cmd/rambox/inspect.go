package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"rambox/internal/image"
	"rambox/pkg/boot"
	"rambox/pkg/cmdline"
)

func inspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect IMAGE [FILE]",
		Short: "List what an initramfs image holds, or print one of its files",
		Long: `Inspect reads any initramfs: several archives in a row (as with early microcode), with any of the kernel's compressions but LZO.
It lists the archives and their files. With FILE it writes that file of the image to standard output.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, closeImage, err := readImage(args[0])
			if err != nil {
				return err
			}
			defer closeImage()
			w := bufio.NewWriter(os.Stdout)
			if len(args) == 1 {
				if err := im.List(w); err != nil {
					return err
				}
				return w.Flush()
			}
			r, err := im.Open(args[1])
			if err != nil {
				return err
			}
			defer r.Close()
			if _, err := io.Copy(w, r); err != nil {
				return err
			}
			return w.Flush()
		},
	}
}

func readImage(name string) (im *image.Image, closeImage func(), err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil {
		im, err = image.Read(f, st.Size())
	}
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return im, func() { f.Close() }, nil
}

func explainCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   `explain [--image IMAGE] ["COMMAND LINE"]`,
		Short: "Say what init would do with a kernel command line",
		Long: `Explain parses a kernel command line as init does and prints the plan, without booting anything. With --image the plan is for that
image: its default parameters and payload, its shell and init. Without, for one that has a shell and nothing else.`,
		Example: `  rambox explain "root=/dev/vda1 rootfstype=ext4 rw"
  rambox explain --image app.img "quiet -- --port 80"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			img := boot.Image{Shell: "/bin/sh"}
			var files fs.FS
			if file != "" {
				im, closeImage, err := readImage(file)
				if err != nil {
					return err
				}
				defer closeImage()
				files = im.Files()
				if img, err = bootImage(files); err != nil {
					return err
				}
			}
			plan, err := boot.NewPlan(cmdline.Parse(strings.Join(args, " ")), img)
			if files != nil {
				plan.Warnings = append(plan.Warnings, lacking(plan, files)...)
			}
			fmt.Print(plan)
			if err != nil {
				return fmt.Errorf("this boot fails: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "image", "i", "", "the image that the command line is for")
	return cmd
}

func bootImage(fsys fs.FS) (boot.Image, error) {
	img, err := boot.ReadImage(fsys)
	if err != nil {
		return img, fmt.Errorf("read the image: %w", err)
	}
	return img, nil
}
