//go:build man

package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// extraCommands has the command that writes the manual. It is in no program
// that is installed: the writer of manual pages is larger than its use.
func extraCommands() []*cobra.Command { return []*cobra.Command{manCommand()} }

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIRECTORY",
		Short:  "Write the manual pages, dated by SOURCE_DATE_EPOCH",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
			if err != nil {
				return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // it would name the day of the build
			root.InitDefaultCompletionCmd()
			date := time.Unix(seconds, 0).UTC()
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "Rambox", Manual: "Rambox", Date: &date}, args[0])
		},
	}
}
