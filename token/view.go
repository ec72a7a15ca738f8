package token

import (
	"net/netip"
	"time"
)

// View is a token as clients of the admin API, the command line and the console
// see it. It carries neither secret nor digest.
type View struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Description   string         `json:"description"`
	Owner         string         `json:"owner"`
	Status        Status         `json:"status"`
	Hint          string         `json:"hint"`
	Grants        []Grant        `json:"grants"`
	AllowedIPs    []netip.Prefix `json:"allowed_ips"`
	CreatedAt     time.Time      `json:"created_at"`
	CreatedBy     string         `json:"created_by"`
	RegeneratedAt *time.Time     `json:"regenerated_at,omitempty"` // absent: the secret is as old as the token
	// ReplacedUntil is how long the secret before still works; absent: it doesn't.
	ReplacedUntil *time.Time  `json:"replaced_until,omitempty"`
	ExpiresAt     *time.Time  `json:"expires_at"`   // null: never expires
	RevokedAt     *time.Time  `json:"revoked_at"`   // null: not revoked
	LastUsedAt    *time.Time  `json:"last_used_at"` // null: not used yet
	LastUsedIP    *netip.Addr `json:"last_used_ip"`
}

// View returns t as clients see it at now. Lists are never nil.
func (t *Token) View(now time.Time) View {
	v := View{
		ID: t.ID, Name: t.Name, Description: t.Description, Owner: t.Owner,
		Status: t.Status(now), Hint: t.Hint,
		Grants: ViewGrants(t.Grants), AllowedIPs: append([]netip.Prefix{}, t.AllowedIPs...),
		CreatedAt: t.CreatedAt.UTC(), CreatedBy: t.CreatedBy, RegeneratedAt: timeOrNull(t.RegeneratedAt),
		ExpiresAt: timeOrNull(t.ExpiresAt), RevokedAt: timeOrNull(t.RevokedAt), LastUsedAt: timeOrNull(t.LastUsedAt),
	}
	for _, old := range t.Retired {
		if old.Until.After(now) && (v.ReplacedUntil == nil || old.Until.After(*v.ReplacedUntil)) {
			v.ReplacedUntil = timeOrNull(old.Until)
		}
	}
	if t.LastUsedIP.IsValid() {
		v.LastUsedIP = new(t.LastUsedIP)
	}
	return v
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// ViewGrants returns a copy of grants as clients see them: no list is nil.
func ViewGrants(grants []Grant) []Grant {
	view := append([]Grant{}, CloneGrants(grants)...)
	for i := range view {
		g := &view[i]
		for _, l := range []*[]string{&g.Spaces, &g.Scopes, &g.Resources} {
			if *l == nil {
				*l = []string{}
			}
		}
	}
	return view
}
