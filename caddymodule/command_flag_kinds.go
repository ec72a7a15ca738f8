package caddymodule

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
)

// flagKind is a kind of text that the server reads. What it could never take is bad
// usage, and shows before it is asked.
type flagKind struct {
	name  string
	want  string // what is said of a text that check refuses
	check func(string) error
}

var (
	aDuration = flagKind{"duration", "a duration such as 90d or 12h, of a century at most", func(s string) error {
		return registry.CheckDuration(s, 0)
	}}
	aWhile = flagKind{"duration", "a duration such as 90d or 12h, longer than 0, of a century at most", func(s string) error {
		return registry.CheckDuration(s, time.Millisecond) // times are kept in these
	}}
	aWait = flagKind{"duration", "a duration such as 2s, longer than 0, of at most " + registry.FormatDuration(maxWait), func(s string) error {
		_, err := parseWait(s)
		return err
	}}
	aTime  = flagKind{"time", "a time such as 2027-01-31T12:00:00Z or 2027-01-31", registry.CheckTime}
	aRange = flagKind{"range", "an address or a range such as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32", registry.CheckRange}
	aGrant = flagKind{"number", "the number of a grant, counted from 1", func(s string) error {
		_, err := rest.GrantNumber(s)
		return err
	}}
)

// in returns the value of a flag that is kept in text.
func (k flagKind) in(text *string) pflag.Value {
	return &checkedFlag{k, func() string { return *text }, func(s string) { *text = s }}
}

// listedIn returns the value of a flag that may be repeated, kept in list.
func (k flagKind) listedIn(list *[]string) pflag.Value {
	return &checkedFlag{k, func() string { return strings.Join(*list, ", ") }, func(s string) { *list = append(*list, s) }}
}

// checkedFlag is the value of a flag of some kind.
type checkedFlag struct {
	flagKind
	get func() string
	set func(string)
}

// String implements pflag.Value.
func (f *checkedFlag) String() string { return f.get() }

// Set implements pflag.Value.
func (f *checkedFlag) Set(s string) error {
	f.set(s)
	return f.check(s)
}

// Type implements pflag.Value.
func (f *checkedFlag) Type() string { return f.name }
