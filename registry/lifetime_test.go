package registry

import (
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

func TestLifetime(t *testing.T) {
	t.Parallel()
	in := func(s string) Lifetime { return Lifetime{ExpiresIn: &s} }
	at := func(s string) Lifetime { return Lifetime{ExpiresAt: &s} }
	never := Lifetime{NoExpiry: true}
	rules := func(usual, limit time.Duration) func(*Rules) {
		return func(r *Rules) { r.DefaultLifetime, r.MaxLifetime = usual, limit }
	}
	usual, unlimited := rules(90*day, 366*day), rules(90*day, 0)
	after := func(d time.Duration) time.Time { return noon.Add(d) }
	var none time.Time

	for _, c := range []struct {
		name  string
		rules func(*Rules)
		asked Lifetime
		want  time.Time // of expiry; none: never
		says  []string  // refused with these words
	}{
		{"nothing asked: the default", usual, Lifetime{}, after(90 * day), nil},
		{"the default is capped", rules(90*day, 30*day), Lifetime{}, after(30 * day), nil},
		{"no default: the maximum", rules(0, 30*day), Lifetime{}, after(30 * day), nil},
		{"neither default nor maximum: never", rules(0, 0), Lifetime{}, none, nil},

		{"expires_in", usual, in("12h"), after(12 * time.Hour), nil},
		{"expires_in in days", usual, in("30d"), after(30 * day), nil},
		{"expires_in in days and hours", usual, in("1d12h"), after(36 * time.Hour), nil},
		{"expires_in half a day", usual, in("0.5d"), after(12 * time.Hour), nil},
		{"expires_in the maximum", usual, in("366d"), after(366 * day), nil},
		{"expires_in over the maximum", usual, in("367d"), none, []string{"expires_in", "367d", "at most 366d"}},
		{"expires_in far, without maximum", unlimited, in("3660d"), after(3660 * day), nil},
		{"expires_in zero", usual, in("0s"), none, []string{"expires_in", "0s", "not in the future"}},
		{"expires_in less than is kept", usual, in("1ns"), none, []string{"expires_in", "1ns", "not in the future"}},
		{"expires_in the past", usual, in("-1d"), none, []string{"not in the future"}},
		{"expires_in empty", usual, in(""), none, []string{"expires_in", "not a duration", "90d"}},
		{"expires_in without unit", usual, in("90"), none, []string{"90", "not a duration"}},
		{"expires_in two numbers of days", usual, in("1d2d"), none, []string{"not a duration"}},
		{"expires_in with a sign inside", usual, in("1d-1h"), none, []string{"not a duration"}},
		{"expires_in with hours before days", usual, in("1h1d"), none, []string{"not a duration", "days, then hours"}},
		{"expires_in not a number", unlimited, in("NaNd"), none, []string{"longer than anything"}},
		{"expires_in endless", unlimited, in("Infd"), none, []string{"longer than anything"}},
		{"expires_in an overflow", unlimited, in("99999999d"), none, []string{"longer than anything"}},

		{"expires_at", usual, at("2026-12-24T18:00:00+01:00"), time.Date(2026, 12, 24, 17, 0, 0, 0, time.UTC), nil},
		{"expires_at a day", usual, at("2026-12-24"), time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC), nil},
		{"expires_at with parts of a second", usual, at("2026-12-24T18:00:00.25-00:30"), time.Date(2026, 12, 24, 18, 30, 0, 250e6, time.UTC), nil},
		{"expires_at with a comma", usual, at("2026-12-24T18:00:00,5Z"), none, []string{"not a time"}},
		{"expires_at with one digit", usual, at("2026-12-24T8:00:00Z"), none, []string{"not a time"}},
		{"expires_at a day away", usual, at("2026-12-24T18:00:00+24:00"), none, []string{"not a time"}},
		{"expires_at an hour of 60 minutes", usual, at("2026-12-24T18:00:00+01:60"), none, []string{"not a time"}},
		{"expires_at now", usual, at("2026-11-22T12:00:00Z"), none, []string{"not in the future"}},
		{"expires_at the past", usual, at("2020-01-01"), none, []string{"expires_at", "2020-01-01", "not in the future"}},
		{"expires_at over the maximum", usual, at("2030-01-01"), none, []string{"expires_at", "2030-01-01", "at most 366d"}},
		{"expires_at far, without maximum", unlimited, at("2100-01-01"), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), nil},
		{"expires_at beyond what is kept", unlimited, at("9999-12-31T23:59:59-10:00"), none, []string{"no_expiry"}},
		{"expires_at not a time", usual, at("tomorrow"), none, []string{"expires_at", "2027-01-31T12:00:00Z"}},

		{"no_expiry under a maximum", usual, never, none, []string{"no_expiry", "at most 366d"}},
		{"no_expiry without maximum", unlimited, never, none, nil},
		{"two at once", usual, Lifetime{ExpiresIn: new("1d"), ExpiresAt: new("2026-12-24")}, none, []string{"one of"}},
		{"no_expiry and another", unlimited, Lifetime{ExpiresIn: new("1d"), NoExpiry: true}, none, []string{"one of"}},
		{"no_expiry and a time", unlimited, Lifetime{ExpiresAt: new("2026-12-24"), NoExpiry: true}, none, []string{"one of"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check := func(t *testing.T, got *token.Token, err error) {
				t.Helper()
				if c.says != nil {
					refused(t, err, ErrInvalid, c.says...)
				} else if err != nil {
					t.Fatal(err)
				} else if !got.ExpiresAt.Equal(c.want) {
					t.Errorf("expires at %v, want %v", got.ExpiresAt, c.want)
				}
			}
			d := newDesk(c.rules)
			got, _, err := d.Operator(cli).Create(t.Context(), NewToken{Name: "ci", Lifetime: c.asked})
			check(t, got, err)

			made, _ := d.create(t, NewToken{})
			got, _, err = d.Operator(cli).Regenerate(t.Context(), made.ID, Renewal{Lifetime: c.asked})
			check(t, got, err)
		})
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		90 * day:         "90d",
		12 * time.Hour:   "12h",
		36 * time.Hour:   "1d12h",
		90 * time.Minute: "1h30m",
		30 * time.Second: "30s",
		10 * time.Minute: "10m",
		0:                "0s",
	} {
		got := FormatDuration(d)
		equal(t, "format", got, want)
		if back, err := parseDuration("d", got); err != nil || back != d {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", got, back, err, d)
		}
	}
}
