package console

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/token"
)

const day = 24 * time.Hour

// distance says how far t is from now, in the largest unit that says enough:
// "3 days".
func distance(t, now time.Time) string {
	d := t.Sub(now).Abs()
	count := func(unit time.Duration, name string) string {
		seconds := math.Abs(float64(t.Unix() - now.Unix())) // a Duration ends after 292 years
		return counted(int(math.Round(seconds/unit.Seconds())), name)
	}
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < 59*time.Minute+30*time.Second:
		return count(time.Minute, "minute")
	case d < 36*time.Hour:
		return count(time.Hour, "hour")
	case d < 100*day:
		return count(day, "day")
	case d < 700*day:
		return count(day*365/12, "month")
	}
	return count(day*365, "year")
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// fromNow says when t is: "in 3 days", "3 days ago".
func fromNow(t, now time.Time) string {
	if t.After(now) {
		return "in " + distance(t, now)
	}
	if now.Sub(t) < time.Minute {
		return "just now"
	}
	return distance(t, now) + " ago"
}

// moment is a time with what is said of it.
type moment struct {
	Words string
	At    *time.Time // nil: there is none
}

// Stamp is the time for machines.
func (m moment) Stamp() string { return m.At.UTC().Format(time.RFC3339) }

// Exact is the time for people, to the minute.
func (m moment) Exact() string { return m.At.UTC().Format("2 January 2006, 15:04 UTC") }

// joined returns grants that allow the same: of those that differ in one list only,
// one is left.
func joined(grants []token.Grant) []token.Grant {
	for _, list := range []func(*token.Grant) *[]string{
		func(g *token.Grant) *[]string { return &g.Scopes },
		func(g *token.Grant) *[]string { return &g.Spaces },
		func(g *token.Grant) *[]string { return &g.Resources },
	} {
		var fewer []token.Grant
		for _, g := range grants {
			g = token.Grant{Spaces: distinct(g.Spaces), Scopes: distinct(g.Scopes), Resources: distinct(g.Resources)}
			i := slices.IndexFunc(fewer, func(other token.Grant) bool {
				*list(&other) = *list(&g)
				return token.EqualGrant(other, g)
			})
			if i < 0 {
				fewer = append(fewer, g)
				continue
			}
			values := list(&fewer[i])
			*values = append(*values, *list(&g)...)
		}
		grants = fewer
	}
	return grants
}

// grantWords says what a grant allows: stories:read in space 1 on resource 7.
func grantWords(g token.Grant) string {
	scopes := distinct(g.Scopes)
	what := strings.Join(scopes, ", ")
	switch {
	case len(scopes) == 0:
		what = "No permissions"
	case all(scopes):
		what = "All permissions"
	case len(scopes) > maxListed:
		what = counted(len(scopes), "permission")
	}
	return what + limited("in", "space", g.Spaces) + limited("on", "resource", g.Resources)
}

// limited says what a grant is limited to; "" where it isn't.
func limited(how, name string, values []string) string {
	values = distinct(values)
	switch {
	case all(values):
		return ""
	case len(values) > maxListed:
		return " " + how + " " + counted(len(values), name)
	case len(values) != 1:
		name += "s"
	}
	return " " + how + " " + name + " " + listed(values)
}

// listed lists ids. One that reads like several is in quotes.
func listed(values []string) string {
	var words []string
	for _, v := range values {
		if token.LikeSeveral(v) {
			v = "“" + v + "”"
		}
		words = append(words, v)
	}
	return strings.Join(words, ", ")
}

// maxListed is how many values are listed at most.
const maxListed = 3

// distinct returns values sorted, without repetitions.
func distinct(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

// days writes a duration in days, or in hours where it is shorter: "90 days".
func days(d time.Duration) string {
	if d%day != 0 {
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	return counted(int(d/day), "day")
}
