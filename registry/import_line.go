package registry

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/patgate/patgate/token"
)

// importLine is a line of an import: a token as clients see it, and its secret or digest.
type importLine struct {
	ID            string        `json:"id"`
	Name          string        `json:"name"`
	Description   string        `json:"description"`
	Owner         string        `json:"owner"`
	Status        *string       `json:"status"` // follows from the times; mustn't promise less than these
	Hint          string        `json:"hint"`   // ignored beside a secret, from which it follows
	Grants        []token.Grant `json:"grants"`
	AllowedIPs    []string      `json:"allowed_ips"`
	CreatedAt     *string       `json:"created_at"`
	CreatedBy     string        `json:"created_by"`
	RegeneratedAt *string       `json:"regenerated_at"`
	ReplacedUntil *string       `json:"replaced_until"` // follows from Retired
	ExpiresAt     *string       `json:"expires_at"`
	RevokedAt     *string       `json:"revoked_at"`
	LastUsedAt    *string       `json:"last_used_at"`
	LastUsedIP    *string       `json:"last_used_ip"`

	Secret  string          `json:"secret"`
	Digest  string          `json:"digest"`
	Retired []importRetired `json:"retired"`
}

type importRetired struct {
	Digest string `json:"digest"`
	Until  string `json:"until"`
}

// parse makes a token of a line of an import. A missing id is left empty and a
// missing time of creation zero: the caller completes them.
func (r *Registry) parse(in *importLine) (*token.Token, error) {
	t := &token.Token{
		ID: in.ID, Name: in.Name, Description: in.Description, Owner: in.Owner,
		Hint: in.Hint, CreatedBy: in.CreatedBy,
	}
	if err := r.parseSecret(t, in); err != nil {
		return nil, err
	}
	var err error
	err = cmp.Or(noSecret("name", t.Name), noSecret("description", t.Description), noSecret("owner", t.Owner), noSecret("created_by", t.CreatedBy))
	if err != nil {
		return nil, err
	}
	if t.Grants, err = eachGrant(in.Grants, func(g token.Grant) (token.Grant, error) { return r.complete(g) }); err != nil {
		return nil, err
	}
	if t.AllowedIPs, err = parseRanges(in.AllowedIPs); err != nil {
		return nil, err
	}
	for _, at := range []struct {
		what  string
		given *string
		to    *time.Time
	}{
		{"created_at", in.CreatedAt, &t.CreatedAt},
		{"regenerated_at", in.RegeneratedAt, &t.RegeneratedAt},
		{"expires_at", in.ExpiresAt, &t.ExpiresAt},
		{"revoked_at", in.RevokedAt, &t.RevokedAt},
		{"last_used_at", in.LastUsedAt, &t.LastUsedAt},
	} {
		if at.given == nil {
			continue
		}
		if *at.to, err = importTime(at.what, *at.given); err != nil {
			return nil, err
		}
	}
	if t.RevokedAt.After(r.clock().Add(day)) { // a clock may be ahead
		return nil, invalid("revoked_at: %q is in the future, and the token would be revoked now; one that ends then has it as expires_at", *in.RevokedAt)
	}
	if err := r.parseStatus(t, in.Status); err != nil {
		return nil, err
	}
	if in.LastUsedIP != nil {
		if t.LastUsedIP, err = netip.ParseAddr(*in.LastUsedIP); err != nil || t.LastUsedIP.Zone() != "" {
			return nil, invalid("last_used_ip: not an address")
		}
	}
	return t, nil
}

// parseStatus refuses a status that contradicts the times: expired or revoked for a token
// that would work, and active for one that is revoked. (A token that was active when it
// was exported may have expired since.)
func (r *Registry) parseStatus(t *token.Token, status *string) error {
	if status == nil {
		return nil
	}
	active := t.Status(r.clock()) == token.Active
	switch token.Status(*status) {
	case token.Active:
		if !t.RevokedAt.IsZero() {
			return invalid("status: active, but revoked_at says that the token is revoked")
		}
	case token.Revoked:
		if active {
			return invalid("status: revoked, but revoked_at is missing or null: without it, the token works again")
		}
	case token.Expired:
		if active {
			return invalid("status: expired, but expires_at is not in the past: the token works again")
		}
	default:
		return invalid("status %q: want active, expired or revoked", *status)
	}
	return nil
}

// guessableLength is the length below which a secret of another system may be guessed in
// time. Shorter ones are imported nevertheless, as clients have them, and counted.
const guessableLength = 16

func (in *importLine) guessable() bool { return in.Secret != "" && len(in.Secret) < guessableLength }

// maxHint is above every hint that patgate makes and below a secret worth the
// name.
const maxHint = 32

// parseSecret sets the digests and the hint.
func (r *Registry) parseSecret(t *token.Token, in *importLine) (err error) {
	switch {
	case in.Secret == "" && in.Digest == "":
		return invalid("secret: missing; give it, or its digest")
	case in.Secret != "" && in.Digest != "":
		return invalid("secret: given together with a digest; give one of them")
	case in.Secret != "":
		if token.Inspect(r.rules.Prefix, in.Secret) == token.Malformed {
			return invalid("secret: could never be accepted: it has a character that secrets can't have, or is longer than %d, or begins with %q and its checksum is wrong",
				token.MaxSecretLength, r.rules.Prefix+"_")
		}
		t.Digest = r.rules.Hasher.Digest(in.Secret)
		t.Hint = token.HintOf(r.rules.Prefix, in.Secret)
	default:
		if t.Digest, err = r.rules.Hasher.Parse(in.Digest); err != nil {
			return asInvalid(err)
		}
		if err := token.ValidText("hint", t.Hint, maxHint); err != nil {
			return asInvalid(err)
		}
	}
	if len(in.Retired) > token.MaxRetired {
		return invalid("retired: %d given, at most %d are kept", len(in.Retired), token.MaxRetired)
	}
	for _, old := range in.Retired {
		d, err := r.rules.Hasher.Parse(old.Digest)
		if err != nil {
			return invalid("retired: %v", err)
		}
		if slices.Contains(t.Digests(), d) {
			return invalid("retired: a secret that is there twice")
		}
		until, err := importTime("retired: until", old.Until)
		if err != nil {
			return err
		}
		t.Retired = append(t.Retired, token.RetiredSecret{Digest: d, Until: until})
	}
	return nil
}

// importTime reads a time that a record can keep.
func importTime(what, s string) (time.Time, error) {
	t, err := parseTime(what, s)
	if err != nil {
		return t, err
	}
	if t.Year() < 1970 {
		return t, invalid("%s: %q is before 1970; if it stands for no time, write null", what, s)
	}
	if !t.Before(lastTime) {
		return t, invalid("%s: %q is after %d; if it stands for never, write null", what, s, lastTime.Year()-1)
	}
	return t, nil
}
