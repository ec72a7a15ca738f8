package checker

import "strings"

// Grants is a set of grants, each of one scope in one space.
type Grants uint8

// The grants there are.
const (
	Read1  Grants = 1 << iota // read in space 1
	Write1                    // write in space 1
	Read2                     // read in space 2
	Write2                    // write in space 2

	grantsEnd
)

// Place returns the scope and the space of a single grant.
func (g Grants) Place() (scope, space string) {
	switch g {
	case Read1:
		return "read", "1"
	case Write1:
		return "write", "1"
	case Read2:
		return "read", "2"
	}
	return "write", "2"
}

func (g Grants) String() string {
	var names []string
	for one := Grants(1); one < grantsEnd; one <<= 1 {
		if g&one != 0 {
			scope, space := one.Place()
			names = append(names, scope+" in "+space)
		}
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
