package flags

import "strings"

// Nearest is the word that was probably meant; "": none is near.
func Nearest(word string, among []string) string {
	best, bestDistance := "", 3
	for _, candidate := range among {
		d := distance(word, candidate)
		if strings.HasPrefix(candidate, word) && len(word) > 1 {
			d = 1
		}
		// Half of a short word is another word.
		if d < bestDistance && 2*d < len(candidate) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance counts typing mistakes: a letter missing, added or wrong, or two swapped.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
