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

// soon is how long before its end a token is said to expire soon.
const soon = 14 * day

// distance says how far t is from now, in the largest unit that says enough:
// "3 days".
func distance(t, now time.Time) string {
	d := t.Sub(now).Abs()
	count := func(unit time.Duration, name string) string {
		n := int(math.Round(float64(d) / float64(unit)))
		if n != 1 {
			name += "s"
		}
		return fmt.Sprintf("%d %s", n, name)
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

// row is a token as the page shows it.
type row struct {
	token.View
	now time.Time
}

// Soon reports whether the token works, but not for long.
func (r row) Soon() bool {
	return r.Status == token.Active && r.ExpiresAt != nil && r.ExpiresAt.Sub(r.now) < soon
}

// Label is the status in a word for people.
func (r row) Label() string {
	switch {
	case r.Status == token.Revoked:
		return "Revoked"
	case r.Status == token.Expired:
		return "Expired"
	case r.Soon():
		return "Expires soon"
	}
	return "Active"
}

// Class is the status as a class of the style sheet.
func (r row) Class() string {
	if r.Soon() {
		return "soon"
	}
	return string(r.Status)
}

// maxBrief is how much of a description a list shows, in characters.
const maxBrief = 160

// Brief is the beginning of the description.
func (r row) Brief() string {
	if runes := []rune(r.Description); len(runes) > maxBrief {
		return string(runes[:maxBrief]) + "…"
	}
	return r.Description
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

// Ends says when the token ends, or has ended.
func (r row) Ends() moment {
	switch {
	case r.RevokedAt != nil:
		return moment{"revoked " + fromNow(*r.RevokedAt, r.now), r.RevokedAt}
	case r.ExpiresAt == nil:
		return moment{"never", nil}
	case r.Status == token.Expired:
		return moment{"expired " + fromNow(*r.ExpiresAt, r.now), r.ExpiresAt}
	}
	return moment{fromNow(*r.ExpiresAt, r.now), r.ExpiresAt}
}

// Created says when the token was made.
func (r row) Created() moment { return moment{fromNow(r.CreatedAt, r.now), &r.CreatedAt} }

// LastUsed says when the token was used last.
func (r row) LastUsed() moment {
	if r.LastUsedAt == nil {
		return moment{"never", nil}
	}
	return moment{fromNow(*r.LastUsedAt, r.now), r.LastUsedAt}
}

// Can sums up what the token may do.
func (r row) Can() string {
	if len(r.Grants) == 0 {
		return "No permissions"
	}
	if slices.ContainsFunc(r.Grants, token.Grant.IsFull) {
		return "Everything"
	}
	var scopes, spaces []string
	for _, g := range r.Grants {
		scopes = append(scopes, g.Scopes...)
		spaces = append(spaces, g.Spaces...)
	}
	what := few(distinct(scopes), "permissions")
	switch {
	case what == "":
		what = "No permissions"
	case slices.Contains(scopes, token.All):
		what = "All permissions"
	}
	if slices.Contains(spaces, token.All) {
		return what
	}
	spaces = distinct(spaces)
	switch where := few(spaces, "spaces"); {
	case len(spaces) == 1:
		return what + " in space " + where
	case len(spaces) <= fewest:
		return what + " in spaces " + where
	default:
		return what + " in " + where
	}
}

// fewest is how many values are listed at most.
const fewest = 3

// few lists values, or counts them where they are many.
func few(values []string, name string) string {
	if len(values) > fewest {
		return fmt.Sprintf("%d %s", len(values), name)
	}
	return strings.Join(values, ", ")
}

// distinct sorts values, and drops repetitions.
func distinct(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}

// days writes a duration in days, or in hours where it is shorter: "90 days".
func days(d time.Duration) string {
	if d%day != 0 {
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	if d == day {
		return "1 day"
	}
	return fmt.Sprintf("%d days", d/day)
}
