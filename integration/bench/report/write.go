package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// text writes the table for a terminal.
func (t table) text(w io.Writer) {
	fmt.Fprintf(w, "%s\n", t.title)
	if t.note != "" {
		fmt.Fprintf(w, "%s\n", t.note)
	}
	widths := make([]int, len(t.head))
	rows := append([][]string{t.head}, t.rows...)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString("  " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
	fmt.Fprintln(w)
}

// markdown writes all tables for the page.
func markdown(r results) string {
	var b strings.Builder
	for _, t := range tables(r) {
		fmt.Fprintf(&b, "### %s\n\n", strings.ReplaceAll(t.title, "*", `\*`))
		if t.note != "" {
			fmt.Fprintf(&b, "%s\n\n", t.note)
		}
		fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
		for _, row := range t.rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// The page's tables stand between these lines.
const (
	begin = "<!-- make bench-docs writes from here -->\n"
	end   = "<!-- to here -->\n"
)

// insert replaces the tables of a page.
func insert(page, tables string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", errors.New("the lines are missing between which the tables go: " + strings.TrimSpace(begin) + " and " + strings.TrimSpace(end))
	}
	return before + begin + "\n" + tables + end + after, nil
}
