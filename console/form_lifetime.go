package console

import (
	"slices"
	"time"

	"github.com/patgate/patgate/registry"
)

// lifetimeForm is the part of a form that says how long a secret lives.
type lifetimeForm struct {
	*form
	Choices []choice
	First   string // the first day that can be chosen, as 2006-01-02
	Last    string // the last one; "" if there is none
	now     time.Time
	max     time.Duration
}

// choice is an entry of a list to choose from.
type choice struct{ Value, Label string }

// What can be chosen besides durations.
const (
	onDate = "date"
	never  = "never"
)

// lifetimeForm returns the form's part about a lifetime.
func (c *call) lifetimeForm(f *form) lifetimeForm {
	rules := c.Rules()
	l := lifetimeForm{form: f, now: c.now, max: rules.MaxLifetime, First: c.now.UTC().Format(time.DateOnly)}
	if l.max > 0 {
		// A day means its end, which has to be in bounds as well.
		l.Last = c.now.UTC().Add(l.max - day).Format(time.DateOnly)
	}
	usual := rules.Capped(rules.DefaultLifetime)
	presets := []time.Duration{7 * day, 30 * day, 90 * day, 365 * day}
	if usual > 0 && !slices.Contains(presets, usual) {
		presets = append(presets, usual)
		slices.Sort(presets)
	}
	for _, d := range presets {
		if l.max == 0 || d <= l.max {
			l.Choices = append(l.Choices, choice{registry.FormatDuration(d), "After " + days(d) + " – " + c.now.Add(d).UTC().Format("2 January 2006")})
		}
	}
	if l.AnyDay() {
		l.Choices = append(l.Choices, choice{onDate, "On a day I choose"})
	}
	if l.max == 0 {
		l.Choices = append(l.Choices, choice{never, "Never"})
	}
	if f.Value("expires") == "" {
		f.values.Set("expires", never)
		if usual > 0 {
			f.values.Set("expires", registry.FormatDuration(usual))
		}
	}
	return l
}

// AnyDay reports whether there is a day that can be chosen: today ends too late where
// secrets live for hours only.
func (l lifetimeForm) AnyDay() bool { return l.Last == "" || l.First <= l.Last }

// read returns the lifetime that was chosen.
func (l *lifetimeForm) read() registry.Lifetime {
	switch chosen := l.Value("expires"); chosen {
	case never:
		return registry.Lifetime{NoExpiry: true}
	case onDate:
		on, err := time.Parse(time.DateOnly, l.Value("date"))
		switch {
		case !l.AnyDay():
			l.fail("expires", "Tokens live for %s at most here, and no day ends so soon.", days(l.max))
		case l.Value("date") == "":
			l.fail("date", "Choose the last day on which the token works.")
		case err != nil:
			l.fail("date", "Write the day like 2027-01-31.")
		case l.Value("date") < l.First:
			l.fail("date", "This day is over. Choose one that isn't.")
		case l.Last != "" && l.Value("date") > l.Last:
			l.fail("date", "Tokens live for %s at most here. Choose a day up to %s.", days(l.max), l.Last)
		}
		at := on.AddDate(0, 0, 1).Format(time.DateOnly) // the end of that day
		return registry.Lifetime{ExpiresAt: &at}
	default:
		return registry.Lifetime{ExpiresIn: &chosen}
	}
}
