package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
)

// selfRoutes returns what a token may do with its secret as credential, and what
// anybody may do with a secret that has leaked.
func selfRoutes() []route {
	return []route{
		{"GET /self", "", inJSON((*call).describeSelf)},
		{"POST /self/regenerate", "", inJSON((*call).regenerateSelf)},
		{"DELETE /self", "", inJSON((*call).revokeSelf)},
		{"POST /leaked", "", (*call).leaked},
	}
}

// aboutSelf reports whether the path is one of those that nobody has to be signed
// in for.
func aboutSelf(path string) bool {
	return path == "/self" || strings.HasPrefix(path, "/self/") || path == "/leaked"
}

// bearer returns the token whose secret is the request's credential.
func (c *call) bearer() (*registry.Bearer, error) {
	secret := presented(c.R)
	if secret == "" {
		return nil, c.denied(policy.TokenMissing, policy.TokenMissing.Detail())
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	b, err := c.bearerOf(secret)
	// The store was asked even if the client has gone since.
	c.leave(errors.Is(err, registry.ErrUnknown) || err != nil && c.R.Context().Err() != nil)
	return b, c.withChallenge(err)
}

func (c *call) bearerOf(secret string) (*registry.Bearer, error) {
	r, err := c.Registry()
	if err != nil {
		return nil, err
	}
	return r.Bearer(c.R.Context(), secret, c.visitor.Address)
}

// withChallenge turns a *registry.Denied into a problem, and sets the challenge (RFC 6750
// section 3).
func (c *call) withChallenge(err error) error {
	denied, ok := errors.AsType[*registry.Denied](err)
	if !ok {
		return err
	}
	detail := denied.Reason.Detail()
	if errors.Is(err, registry.ErrRetired) { // of which the gate says more as well
		detail = denied.Error()
	}
	return c.denied(denied.Reason, detail)
}

// denied refuses a secret, as the gate would.
func (c *call) denied(reason policy.Reason, detail string) error {
	challenge := `Bearer realm="patgate_console"`
	if reason != policy.TokenMissing {
		challenge += fmt.Sprintf(`, error="invalid_token", error_description=%q`, detail)
	}
	c.W.Header().Set("WWW-Authenticate", challenge)
	return problemFor(reason, detail)
}

// problemFor returns the problem that the gate answers for a reason.
func problemFor(reason policy.Reason, detail string) *rest.Problem {
	return withReason(rest.Refuse(reason.Status(), "%s", detail), reason)
}

// withReason adds to a problem the reason that the gate would give.
func withReason(p *rest.Problem, reason policy.Reason) *rest.Problem {
	p.Type, p.Reason = rest.ProblemType+reason.String(), reason.String()
	return p
}

// enter refuses addresses that send too many unknown secrets. Unless it does, leave
// must be called.
func (c *call) enter() error {
	reason, wait := c.Limiter.Enter(c.R.Context(), c.visitor.Address)
	if reason == policy.Forward {
		return nil
	}
	rest.RetryAfter(c.W, wait)
	return problemFor(reason, reason.Detail())
}

// leave says whether the secret was unknown.
func (c *call) leave(unknown bool) { c.Limiter.Leave(c.visitor.Address, unknown) }

func (c *call) describeSelf() (any, error) {
	b, err := c.bearer()
	if err != nil {
		return nil, err
	}
	return b.View(b.Token()), nil
}

func (c *call) regenerateSelf() (any, error) {
	b, err := c.bearer()
	if err != nil {
		return nil, err
	}
	if err := c.countChange(cmp.Or(b.Token().Owner, b.Token().ID)); err != nil {
		return nil, err
	}
	var n registry.Renewal
	if err := c.DecodeOptional(&n); err != nil {
		return nil, err
	}
	t, secret, err := b.Regenerate(c.R.Context(), n)
	if err != nil {
		return nil, c.withChallenge(err)
	}
	return rest.TokenSecret{Token: b.View(t), Secret: secret}, nil
}

func (c *call) revokeSelf() (any, error) {
	b, err := c.bearer()
	if err != nil {
		return nil, err
	}
	if err := c.NoBody(); err != nil {
		return nil, err
	}
	if err := b.Revoke(c.R.Context()); err != nil {
		return nil, err
	}
	return rest.Revocation{Revoked: []string{b.Token().ID}, Gateways: c.Gateways()}, nil
}

// Bounds of what anybody may report as leaked.
const (
	maxReport   = 64 << 10 // bytes of one report
	reportRate  = 100      // secrets that are looked up in a second, of all reports together
	reportBurst = 1000     // and of those that come at once
)

// leaked revokes the tokens of secrets that were found where they shouldn't be:
// to have one is all the proof that is needed. The answer is the same whatever
// they open, so that nobody can try secrets out here.
func (c *call) leaked() error {
	var report registry.LeakReport
	c.R.Body = http.MaxBytesReader(c.W, c.R.Body, maxReport)
	wrong := c.Decode(&report) // first: it may come slowly
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave(true) // counted as unknown whatever they open: nobody can guess secrets here
	if wrong != nil {
		return wrong
	}
	if !c.reports.AllowN(c.Now(), len(report)) {
		return rest.Refuse(http.StatusServiceUnavailable, "more secrets are being reported than can be looked up: try again in a moment")
	}
	r, err := c.Registry()
	if err != nil {
		return err
	}
	if err := r.RevokeLeaked(c.R.Context(), c.visitor.Address, report...); err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}
