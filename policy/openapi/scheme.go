package openapi

import (
	"slices"
	"strings"

	"github.com/patgate/patgate/policy"
)

// scheme is a security scheme of a document.
type scheme struct {
	name   string
	at     string              // where it is declared: file:line; "": nowhere, it is only asked for
	places []policy.Credential // where its credentials are in a request, if the document says it
	// other says what its credentials are if they aren't such as people give to programs: a
	// session's cookie, a certificate.
	other string
}

// declared returns a scheme as the document declares it.
func declared(t *tree) scheme {
	s := scheme{name: t.key, at: t.at()}
	name := t.get("name").value()
	switch t.get("type").value() {
	case "apiKey":
		switch in := t.get("in").value(); {
		case in == "header" && strings.EqualFold(name, "Authorization"):
			s.in("bearer", "bare")
		case in == "header", in == "query":
			if s.in(in + " " + name); s.places == nil {
				s.other = in + " " + name + ", where no token can be"
			}
		case in == "cookie":
			s.in("cookie " + name)
			s.other = "a cookie"
		}
	case "http":
		switch word := t.get("scheme").value(); strings.ToLower(word) {
		case "bearer", "basic":
			s.in(strings.ToLower(word))
		case "digest", "hoba", "mutual", "negotiate", "ntlm", "oauth", "scram-sha-1", "scram-sha-256":
			s.other = "a proof that is made for each request"
		default:
			s.in("scheme " + word)
		}
	case "oauth2", "openIdConnect":
		s.in("bearer")
	case "mutualTLS":
		s.other = "a client certificate"
	}
	return s
}

// in notes where credentials are, as token_from has it, if they can be there.
func (s *scheme) in(places ...string) {
	for _, text := range places {
		if c, err := policy.ParseCredential(text); err == nil && !strings.Contains(text, "{$") {
			s.places = append(s.places, c)
		}
	}
}

// isToken reports whether what a policy judges is the credential of the scheme.
func (s *scheme) isToken(p *policy.Policy) bool {
	return s.taken(p) || s.other == "" && !slices.ContainsFunc(s.places, p.LetsThrough)
}

// taken reports whether a policy takes tokens from where the scheme's credentials are.
func (s *scheme) taken(p *policy.Policy) bool {
	return slices.ContainsFunc(s.places, func(c policy.Credential) bool { return slices.ContainsFunc(p.Credentials(), c.SameAs) })
}

// sharesPlace reports whether one credential may be that of both schemes.
func (s *scheme) sharesPlace(t *scheme) bool {
	of := tokenFrom([]*scheme{t})
	return slices.ContainsFunc(tokenFrom([]*scheme{s}), func(c policy.Credential) bool { return slices.ContainsFunc(of, c.SameAs) })
}

// takesToken reports whether a token is taken from where the scheme's credentials are.
func (r *rules) takesToken(s *scheme) bool {
	said := r.schemes[s.name]
	return !slices.Contains(r.config.Ignore, s.name) && said != "never" && (said != "" || s.other == "")
}

// used returns the security schemes that operations ask for, but for what a configuration
// skips and ignores.
func (d *Document) used(c *policy.OpenAPIConfig) (all []*scheme) {
	seen := map[string]bool{}
	for _, o := range d.operations {
		if slices.ContainsFunc(c.Skip, o.named) {
			continue
		}
		for _, a := range o.security {
			for _, s := range a {
				if !seen[s.scheme] && !slices.Contains(c.Ignore, s.scheme) {
					seen[s.scheme] = true
					all = append(all, d.scheme(s.scheme))
				}
			}
		}
	}
	return all
}

// tokenFrom returns the places of the tokens of some schemes. Where the document doesn't say
// it of one, it is bearer.
func tokenFrom(schemes []*scheme) (places []policy.Credential) {
	bearer := policy.Credential{Kind: policy.Bearer}
	for _, s := range schemes {
		of := s.places
		if of == nil {
			of = []policy.Credential{bearer}
		}
		for _, c := range of {
			if !slices.ContainsFunc(places, c.SameAs) {
				places = append(places, c)
			}
		}
	}
	return places
}

// noToken says what the scheme's credentials are instead of tokens, or "" if they may be tokens.
func (s *scheme) noToken() string {
	if s.at == "" {
		return "declared nowhere"
	}
	return s.other
}

// schemeNames returns the names of the document's security schemes.
func (d *Document) schemeNames() (names []string) {
	for _, s := range d.schemes {
		names = append(names, s.name)
	}
	return names
}

// scheme returns the security scheme with a name.
func (d *Document) scheme(name string) *scheme {
	return &d.schemes[d.named[name]]
}
