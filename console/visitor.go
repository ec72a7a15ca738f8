package console

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/token"
)

// signedIn refuses a visitor who isn't signed in, or is by a token.
func (c *call) signedIn() error {
	if c.visitor.ByToken || c.carriesToken() {
		return rest.Refuse(http.StatusForbidden, "a personal access token can't be used here: tokens don't make or change tokens. "+
			"Sign in as yourself; a token may only describe, renew and revoke itself, at /self")
	}
	if c.visitor.Owner == "" {
		// RFC 9110 section 11.6.1 wants a challenge. This one no browser takes
		// for something to ask about.
		c.W.Header().Set("WWW-Authenticate", `Session realm="patgate_console"`)
		return rest.Refuse(http.StatusUnauthorized, "you are not signed in: whoever runs this site has to have people sign in before they come here")
	}
	return nil
}

// carriesToken reports whether the request's credentials have one of patgate's
// secrets in them, whatever accepted the request.
func (c *call) carriesToken() bool {
	own := c.Rules().Prefix + "_"
	for _, value := range c.R.Header.Values("Authorization") {
		if user, password, ok := basic(value); ok {
			// People may be called, and may have passwords, that begin like a secret.
			for _, s := range []string{user, password} {
				if strings.HasPrefix(s, own) && token.Inspect(c.Rules().Prefix, s) == token.WellMade {
					return true
				}
			}
			continue
		}
		for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune(" \t,=\"", r) }) {
			if strings.HasPrefix(part, own) {
				return true
			}
		}
	}
	return false
}

// presented returns the secret that the request has as its credential: as
// Bearer, bare, or as password of Basic (any user name). "" if it has none, or
// several.
func presented(r *http.Request) string {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	if _, password, ok := basic(values[0]); ok {
		return password
	}
	scheme, rest, two := strings.Cut(values[0], " ")
	if !two {
		return scheme
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(rest, " ")
}

// basic reads Basic credentials (RFC 7617).
func basic(value string) (user, password string, ok bool) {
	scheme, encoded, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}
