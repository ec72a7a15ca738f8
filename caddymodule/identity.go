package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
)

// IdentityHeaders names the headers that tell the API who is asking.
type IdentityHeaders struct {
	// Whether none are sent. Then there can be no other field.
	Off bool `json:"off,omitempty"`
	// One signed token in place of the headers below; may be empty. Default: none.
	Signed *SignedIdentity `json:"signed,omitempty"`
	// The header for the owner of the token. Default: "X-Patgate-Owner".
	Owner string `json:"owner,omitempty"`
	// The header for the token's id. Default: "X-Patgate-Token".
	Token string `json:"token,omitempty"`
	// The header for the space of the request. Default: "X-Patgate-Space".
	Space string `json:"space,omitempty"`
	// The header for the scopes that the token holds in this space, blank-separated.
	// Default: "X-Patgate-Scopes".
	Scopes string `json:"scopes,omitempty"`
}

// defaultTokenHeader is the default of IdentityHeaders.Token.
const defaultTokenHeader = "X-Patgate-Token"

// names returns the headers' names, in the order of outcome.values.
func (i *IdentityHeaders) names() [4]string {
	return [4]string{
		http.CanonicalHeaderKey(cmp.Or(i.Owner, "X-Patgate-Owner")), http.CanonicalHeaderKey(cmp.Or(i.Token, defaultTokenHeader)),
		http.CanonicalHeaderKey(cmp.Or(i.Space, "X-Patgate-Space")), http.CanonicalHeaderKey(cmp.Or(i.Scopes, "X-Patgate-Scopes")),
	}
}

// nameHeaders works out the identity headers.
func (h *Handler) nameHeaders() error {
	var configured IdentityHeaders
	if h.IdentityHeaders != nil {
		configured = *h.IdentityHeaders
	}
	if configured.Off && configured != (IdentityHeaders{Off: true}) {
		return errors.New("identity_headers: want off or the names of headers, not both")
	}
	names := configured.names()
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("identity_headers: %s is given twice", name)
		}
		if err := h.claim(name); err != nil {
			return err
		}
	}
	switch {
	case configured.Signed != nil:
		signed, err := configured.Signed.check(h.policy.Realm)
		if err != nil {
			return err
		}
		if err := h.claim(signed.Header); err != nil {
			return err
		}
		h.signed = newIdentitySigner(signed)
	case !configured.Off:
		h.identity = &names
	}
	return h.removeAliases()
}

// IdentityNames implements caddyroutes.Gate.
func (h *Handler) IdentityNames() []string {
	switch {
	case h.signed != nil:
		return []string{h.signed.Header}
	case h.identity != nil:
		return h.identity[:]
	}
	return nil
}

// identityWords says what the upstream is told, for people.
func (h *Handler) identityWords() string {
	if s := h.signed; s != nil {
		return fmt.Sprintf("signed in %s, from %s to %s, for %s", s.Header, s.Issuer, s.Audience, registry.FormatDuration(time.Duration(s.Lifetime)))
	}
	return cmp.Or(strings.Join(h.IdentityNames(), ", "), "off")
}

// claim makes a header the gate's own: it is removed from what clients send, as all are
// that begin with policy.IdentityPrefix.
func (h *Handler) claim(name string) error {
	if err := checkIdentityHeader(name); err != nil {
		return err
	}
	if !strings.HasPrefix(name, policy.IdentityPrefix) {
		h.remove = append(h.remove, name, policy.GRPCMetadata+name)
	}
	return nil
}

// removeAliases has headers removed that grpc-gateway takes for ones that are judged. An
// identity header can't be judged, since it is removed itself.
func (h *Handler) removeAliases() error {
	judged := h.policy.JudgedHeaders()
	for _, name := range judged {
		if slices.Contains(h.remove, name) {
			err := fmt.Errorf("identity_headers: %s is removed from what clients send, and token_from, let_through, space or resource reads it", name)
			if h.At != "" {
				err = fmt.Errorf("%s: %w", h.At, err)
			}
			return err
		}
		if alias := policy.GRPCMetadata + name; !slices.Contains(judged, alias) {
			h.remove = append(h.remove, alias)
		}
	}
	return nil
}

// checkIdentityHeader refuses headers that can't carry an identity.
func checkIdentityHeader(name string) error {
	if strings.EqualFold(name, "off") {
		return fmt.Errorf("identity_headers: %s is no header's name: identity_headers off leaves out all of them", name)
	}
	if !policy.PlainHeaderName(name) {
		return fmt.Errorf("identity_headers: %q: want letters, digits and hyphens: other names are taken for these by some servers", name)
	}
	if slices.Contains(notIdentity, http.CanonicalHeaderKey(name)) {
		return fmt.Errorf("identity_headers: %s has a meaning of its own", name)
	}
	return nil
}

// notIdentity are headers that can't carry an identity.
var notIdentity = []string{
	"Host", "Authorization", "Cookie", "Connection", "Content-Length", "Transfer-Encoding",
	"Upgrade", "Trailer", "Te", "Keep-Alive", "Proxy-Authorization", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	decisionHeader,
}

// identify tells the upstream who is asking. Values that a header can't carry are
// percent-encoded.
func (o *outcome) identify(h http.Header, names *[4]string, scopes string) {
	o.values = [4]string{headerText(o.owner), o.tokenID, headerText(o.space), scopes}
	for i, name := range names {
		if o.values[i] != "" {
			h[name] = o.values[i : i+1 : i+1]
		}
	}
}

// headerText returns s as a header can carry it: all but visible ASCII and inner blanks
// percent-encoded, and the percent sign with it. So is the equals sign by which an encoded
// word begins (RFC 2047): CherryPy would decode it.
func headerText(s string) string {
	const word = "=?"
	plain := !strings.Contains(s, word)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			plain = false
		}
	}
	if plain && (s == "" || s[0] != ' ' && s[len(s)-1] != ' ') {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || c == '%' || strings.HasPrefix(s[i:], word) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
