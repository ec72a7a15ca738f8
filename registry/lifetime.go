package registry

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// lastTime is the first time that RFC 3339 can't express.
var lastTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// Lifetime says how long a secret lives. At most one field may be given; none
// asks for the default.
type Lifetime struct {
	ExpiresIn *string `json:"expires_in,omitempty"` // a duration: 90d, 12h, 1d12h
	ExpiresAt *string `json:"expires_at,omitempty"` // RFC 3339; or a day, which means its start in UTC
	NoExpiry  bool    `json:"no_expiry,omitempty"`
}

// expiry returns when a secret made now expires; zero: never.
func (r *Registry) expiry(l Lifetime, now time.Time) (time.Time, error) {
	switch {
	case l.ExpiresIn != nil && l.ExpiresAt != nil, l.NoExpiry && (l.ExpiresIn != nil || l.ExpiresAt != nil):
		return time.Time{}, refuseField(ErrInvalid, "lifetime", "give one of expires_in, expires_at and no_expiry")
	case l.ExpiresIn != nil:
		d, err := parseDuration("expires_in", *l.ExpiresIn)
		if err != nil {
			return time.Time{}, err
		}
		if d < time.Millisecond { // times are kept in these
			return time.Time{}, refuseField(ErrInvalid, "expires_in", "%q is not in the future", *l.ExpiresIn)
		}
		return r.bounded("expires_in", *l.ExpiresIn, now.Add(d), now)
	case l.ExpiresAt != nil:
		at, err := parseTime("expires_at", *l.ExpiresAt)
		if err != nil {
			return time.Time{}, err
		}
		if !at.After(now) {
			return time.Time{}, refuseField(ErrInvalid, "expires_at", "%q is not in the future", *l.ExpiresAt)
		}
		return r.bounded("expires_at", *l.ExpiresAt, at, now)
	case l.NoExpiry && r.rules.MaxLifetime > 0:
		return time.Time{}, refuseField(ErrInvalid, "no_expiry", "tokens that never expire are not allowed here; at most %s is", FormatDuration(r.rules.MaxLifetime))
	case l.NoExpiry:
		return time.Time{}, nil
	}
	return r.rules.end(r.rules.DefaultLifetime, now), nil
}

// end returns when a secret made now expires, if it lives for life or as long as the
// rules allow; 0 and zero: for ever.
func (r *Rules) end(life time.Duration, now time.Time) time.Time {
	if life = r.Capped(life); life == 0 {
		return time.Time{}
	}
	return now.Add(life)
}

// Capped returns a lifetime, or MaxLifetime where it is longer; 0: for ever.
func (r *Rules) Capped(life time.Duration) time.Duration {
	if r.MaxLifetime > 0 && (life == 0 || life > r.MaxLifetime) {
		return r.MaxLifetime
	}
	return life
}

func (r *Registry) bounded(what, given string, at, now time.Time) (time.Time, error) {
	if limit := r.rules.MaxLifetime; limit > 0 && at.After(now.Add(limit)) {
		return time.Time{}, refuseField(ErrInvalid, what, "%q is too long; at most %s is allowed here", given, FormatDuration(limit))
	}
	if !at.Before(lastTime) {
		return time.Time{}, refuseField(ErrInvalid, what, "%q is too far away to be kept; no_expiry says never", given)
	}
	return at, nil
}

// rfc3339 matches what is RFC 3339 of all that time.Parse takes for it: that has other
// fractions, hours and offsets as well.
var rfc3339 = regexp.MustCompile(`^.{10}T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseTime reads RFC 3339, or a day, which means its start in UTC. what names
// the field in the error, which doesn't repeat s: in a table whose columns have
// been mixed up, that may be a secret.
func parseTime(what, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	} else if !rfc3339.MatchString(s) {
		err = errors.New("not RFC 3339")
	}
	if err != nil {
		return time.Time{}, refuseField(ErrInvalid, what, "not a time; want one like 2027-01-31T12:00:00Z or 2027-01-31")
	}
	return t.UTC(), nil
}

// parseDuration reads a duration as Caddy writes them: Go's, and before it a
// number of days. what names the field in the error.
func parseDuration(what, s string) (time.Duration, error) {
	days, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		days, rest = "0", s
	}
	n, errDays := strconv.ParseFloat(days, 64)
	var d time.Duration
	var errRest error
	if rest != "" || !hasDays {
		d, errRest = time.ParseDuration(rest)
	}
	if errDays != nil || errRest != nil || hasDays && strings.ContainsAny(rest, "+-") { // 1d-1h
		return 0, refuseField(ErrInvalid, what, "%q is not a duration; want one like 90d, 12h or 1d12h: days, then hours", s)
	}
	// A century bounds what can be added here without an overflow; written so
	// that it refuses what is not a number, too.
	const limit = 100 * 366
	if !(n >= -limit && n <= limit && d <= limit*day && d >= -limit*day) {
		return 0, refuseField(ErrInvalid, what, "%q is longer than anything patgate keeps", s)
	}
	return time.Duration(n*float64(day)) + d, nil
}

// CheckDuration returns an error unless s is a duration that is not below least.
func CheckDuration(s string, least time.Duration) error {
	d, err := parseDuration("duration", s)
	if err == nil && d < least {
		err = invalid("duration: %q is too short", s)
	}
	return err
}

// CheckTime returns an error unless s is a time.
func CheckTime(s string) error {
	_, err := parseTime("time", s)
	return err
}

// ParseSince reads since when something is wanted: a time, or a duration such as 24h, which
// ends now.
func ParseSince(s string, now time.Time) (time.Time, error) {
	d, err := parseDuration("since", s)
	if err == nil && d > 0 {
		return now.Add(-d), nil
	}
	at, err := parseTime("since", s)
	if err != nil {
		return time.Time{}, invalid("since: want a duration such as 24h or 7d, or a time such as 2027-01-31T12:00:00Z or 2027-01-31")
	}
	return at, nil
}

// FormatDuration writes a duration as Caddy reads it: 90d, 12h.
func FormatDuration(d time.Duration) string {
	var s string
	if n := d / day; n > 0 {
		s = strconv.FormatInt(int64(n), 10) + "d"
		if d %= day; d == 0 {
			return s
		}
	}
	t := d.String()
	if strings.HasSuffix(t, "m0s") {
		t = strings.TrimSuffix(t, "0s")
	}
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	return s + t
}
