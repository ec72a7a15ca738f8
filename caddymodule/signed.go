package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-jose/go-jose/v4/jwt"
	lru "github.com/hashicorp/golang-lru/v2"
	"go.uber.org/zap"

	"github.com/patgate/patgate/internal/keyring"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// SignedIdentity tells the API who is asking in one signed token (a JWT, RFC 7519, by
// ES256). An API that verifies it knows that a request has passed a gate, and which token
// it was judged for. It doesn't say which request: that is what the API is asked.
type SignedIdentity struct {
	// The header that carries it. Default: "X-Patgate-Identity".
	Header string `json:"header,omitempty"`
	// Its claim "iss". Default: "patgate".
	Issuer string `json:"issuer,omitempty"`
	// Its claim "aud". Default: the realm.
	Audience string `json:"audience,omitempty"`
	// How long it is valid, but no longer than the token; at least 2s. The gateway
	// reuses it for half of that time. Default: "60s".
	Lifetime Duration `json:"lifetime,omitempty"`
	// The path where the site serves the public keys (RFC 7517 section 5).
	// Default: none.
	JWKS string `json:"jwks,omitempty"`
}

// claims are what a signed identity says.
type claims struct {
	Issuer   string           `json:"iss"`
	Audience string           `json:"aud"`
	Subject  string           `json:"sub,omitempty"` // the owner
	IssuedAt *jwt.NumericDate `json:"iat"`
	Expires  *jwt.NumericDate `json:"exp"`
	Token    string           `json:"token_id"`
	Space    string           `json:"space,omitempty"`
	Scope    string           `json:"scope,omitempty"` // blank-separated (RFC 8693 section 4.2)
}

// identitySigner makes signed identities, each once for as long as it is good.
type identitySigner struct {
	SignedIdentity
	keys *keyring.Keyring // nil until the gate is provisioned
	made *lru.Cache[statement, signature]
}

// statement is what an identity says.
type statement struct {
	token, owner, space, scopes string
	ends                        int64 // when the token ends, in Unix nanoseconds; 0: never
}

// earlier returns t, or the end of the token if that is earlier.
func (s *statement) earlier(t time.Time) time.Time {
	if ends := time.Unix(0, s.ends); s.ends != 0 && ends.Before(t) {
		return ends
	}
	return t
}

type signature struct {
	jwt         string
	from, until time.Time // it is used from then until then, by the clock on the wall: so APIs read it
}

// usable reports whether the signature may be used at a time. The clock may have been
// set, or the machine been suspended, since it was made.
func (s *signature) usable(wall time.Time) bool {
	return !wall.Before(s.from) && wall.Before(s.until)
}

// signaturesKept is how many signed identities a gate remembers.
const signaturesKept = 10_000

// defaultIdentityHeader is the default of SignedIdentity.Header.
const defaultIdentityHeader = "X-Patgate-Identity"

// check fills in the defaults.
func (s SignedIdentity) check(realm string) (SignedIdentity, error) {
	s.Header = http.CanonicalHeaderKey(cmp.Or(s.Header, defaultIdentityHeader))
	s.Issuer, s.Audience = cmp.Or(s.Issuer, "patgate"), cmp.Or(s.Audience, realm)
	if s.Lifetime = cmp.Or(s.Lifetime, Duration(time.Minute)); s.Lifetime < Duration(2*time.Second) {
		return s, fmt.Errorf("identity_headers signed: lifetime %s: want at least 2s", time.Duration(s.Lifetime))
	}
	for _, text := range []string{s.Issuer, s.Audience, s.JWKS} {
		if err := policy.RefusePlaceholder(text); err != nil {
			return s, fmt.Errorf("identity_headers signed: %w", err)
		}
	}
	if s.JWKS != "" && !strings.HasPrefix(s.JWKS, "/") {
		return s, fmt.Errorf("identity_headers signed: jwks %q: want a path", s.JWKS)
	}
	return s, nil
}

func newIdentitySigner(s SignedIdentity) *identitySigner {
	made, err := lru.New[statement, signature](signaturesKept)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &identitySigner{SignedIdentity: s, made: made}
}

// identify tells the upstream who is asking.
func (s *identitySigner) identify(ctx context.Context, h http.Header, o *outcome, scopes string) error {
	what, now := statement{token: o.tokenID, owner: o.owner, space: o.space, scopes: scopes, ends: o.subject.Ends()}, time.Now()
	wall := now.Round(0) // else times are compared by a clock that isn't set
	last, ok := s.made.Get(what)
	if !ok || !last.usable(wall) {
		text, err := s.sign(ctx, what, now)
		if err != nil {
			return err
		}
		last = signature{jwt: text, from: wall, until: what.earlier(wall.Add(time.Duration(s.Lifetime) / 2))}
		s.keep(what, last)
	}
	h[s.Header] = []string{last.jwt}
	return nil
}

// keep remembers a signature, but not for spaces so long that they are no grant's:
// a token for all spaces could name as many of them as it likes.
func (s *identitySigner) keep(what statement, made signature) {
	if len(what.space) > token.MaxValueLength {
		return
	}
	what.space = strings.Clone(what.space) // not all of the request
	s.made.Add(what, made)
}

func (s *identitySigner) sign(ctx context.Context, what statement, now time.Time) (string, error) {
	signer, err := s.keys.Signer(ctx, now)
	if err != nil {
		return "", err
	}
	text, err := jwt.Signed(signer).Claims(claims{
		Issuer: s.Issuer, Audience: s.Audience, Subject: what.owner, Token: what.token, Space: what.space, Scope: what.scopes,
		IssuedAt: jwt.NewNumericDate(now), Expires: jwt.NewNumericDate(what.earlier(now.Add(time.Duration(s.Lifetime)))),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing an identity: %w", err)
	}
	return text, nil
}

// serves reports whether the request is for the public keys.
func (s *identitySigner) serves(r *http.Request) bool {
	return s.JWKS != "" && r.URL.Path == s.JWKS && r.URL.RawPath == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// serveKeys answers with the public keys. They may be kept for a quarter of the
// time that a new key is shown before it is used.
func (h *Handler) serveKeys(w http.ResponseWriter, r *http.Request) error {
	set, err := h.signed.keys.Public(r.Context(), time.Now())
	if err != nil {
		return h.cannotVouch(err)
	}
	body, err := json.Marshal(set)
	if err != nil {
		return h.cannotVouch(err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/jwk-set+json")
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int((keyring.Lead/4).Seconds())))
	_, err = w.Write(body)
	return err
}

// cannotVouch turns a request away that would go on without its identity.
func (h *Handler) cannotVouch(err error) error {
	h.app.logger.Error("identities can't be signed", zap.Error(err))
	return caddyhttp.Error(http.StatusServiceUnavailable, errors.New("the identity can't be signed at the moment"))
}
