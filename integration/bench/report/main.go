// Command report passes on what make bench prints, keeps it in a file, and ends
// with tables of it:
//
//	go test -bench . ./integration/bench | report -keep bin/bench.txt
//
// With -docs it makes docs/benchmarks.md and its chart from that file:
//
//	report -docs docs bin/bench.txt
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	keep := flag.String("keep", "", "keep standard input in this `file`")
	docs := flag.String("docs", "", "write benchmarks.md and benchmarks.svg in this `directory`")
	flag.Parse()
	if err := report(*keep, *docs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func report(keep, docs string, files []string) error {
	switch {
	case keep != "" && docs == "" && len(files) == 0:
		return follow(os.Stdin, os.Stdout, keep)
	case docs != "" && keep == "" && len(files) == 1:
		return document(files[0], docs)
	}
	return errors.New("usage: report -keep FILE, or report -docs DIRECTORY FILE")
}

// follow copies r to w and to a file while it grows, and writes the tables. Some
// benchmark's failure is an error, after the tables.
func follow(r io.Reader, w io.Writer, keep string) error {
	f, err := os.Create(keep)
	if err != nil {
		return err
	}
	var all bytes.Buffer
	if _, err := io.Copy(io.MultiWriter(w, f, &all), r); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	got := parse(all.String())
	fmt.Fprintln(w)
	for _, t := range tables(got) {
		t.text(w)
	}
	if !got.passed {
		return errors.New("a benchmark has failed: see above")
	}
	return nil
}

// document writes the documents from what follow has kept.
func document(file, dir string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w; make bench writes it", err)
	}
	got := parse(string(b))
	if !got.passed {
		return fmt.Errorf("%s: a benchmark has failed, so there is nothing to show", file)
	}
	page := filepath.Join(dir, "benchmarks.md")
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, err := insert(string(old), markdown(got))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "benchmarks.svg"), []byte(chart(got)), 0o644)
}
