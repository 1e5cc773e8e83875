package termtext

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// ColumnWidth is the width of a column's widest cell.
func ColumnWidth(cells [][]string, column int) int {
	width := 0
	for _, row := range cells {
		width = max(width, utf8.RuneCountInString(row[column]))
	}
	return width
}

// WriteTable aligns columns: right[i] says that column i is flush right.  The last is not padded.
func WriteTable(w io.Writer, right []bool, rows [][]string) {
	widths := make([]int, len(right))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case right[i]:
				line.WriteString(pad + cell)
			case i == len(row)-1:
				line.WriteString(cell)
			default:
				line.WriteString(cell + pad)
			}
			if i < len(row)-1 {
				line.WriteString("  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
