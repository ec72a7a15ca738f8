// Package spelling finds what a mistyped name was meant to be.
package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// Suggest returns the closest of the known names as the end of an error, or "" if none is
// close.
func Suggest(name string, known []string) string {
	best, least := "", len(name)/2+1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// Nearest returns the known names most like name, at most three, the nearest
// first.
func Nearest(name string, known []string) []string {
	near := slices.Clone(known)
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(distance(name, a), distance(name, b)) })
	return near[:min(len(near), 3)]
}

// distance is Levenshtein's: how many bytes must change, come or go.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// Slip reports whether two names differ by no more than a typing error: one letter
// that is wrong, missing, too many, or in the other case, or two that changed
// places. Names with different digits are different names, and so are
// those of less than four letters.
func Slip(a, b string) bool { return min(len(a), len(b)) >= 4 && ShortSlip(a, b) }

// ShortSlip is Slip for names that may be short.
func ShortSlip(a, b string) bool {
	if a == b || max(len(a), len(b))-min(len(a), len(b)) > 1 {
		return false
	}
	x, y := apart(a, b)
	swapped := len(x) == 2 && len(y) == 2 && x[0] == y[1] && x[1] == y[0]
	return (max(len(x), len(y)) == 1 || swapped || strings.EqualFold(a, b)) && digits(a) == digits(b)
}

// apart returns a and b without what both begin with, and then end with.
func apart(a, b string) (x, y string) {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

// digits returns the digits in s.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
