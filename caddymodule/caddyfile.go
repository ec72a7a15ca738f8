package caddymodule

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/policy"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("patgate", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("patgate", httpcaddyfile.Before, "basic_auth")
}

// parseDirective sets up the gate of a site. Syntax:
//
//	patgate [<matcher>] {
//		realm            <name>
//		mode             enforce | report
//		error_body       problem | error | message | message_code | <media type> <template>
//		token_from       bearer | bare | basic | scheme <word> | header <name> | query <name> | cookie <name>
//		default          deny | any | public
//		space            <source>
//		resource         <source>
//		forward_token    keep | strip
//		identity_headers off | { owner <header> token <header> space <header> scopes <header> }
//		identity_headers signed [{ header <name> issuer <text> audience <text> lifetime <duration> jwks <path> }]
//		let_through      cookie <name> | header <name> | scheme <word> | bearer <beginning>*
//		unknown_token    reject | forward until <date>
//		cors_preflight   forward | deny
//		encoded_slash    reject | allow
//		semicolon        reject | allow
//		stream_check     on | off
//		route <methods> <pattern> [<requirement>] [{
//			space <source>
//			resource <source>
//			token_from …
//			mode enforce | report
//			error_body …
//			optional
//		}]
//		group <prefix> {
//			(as in a route's block, and route, group, openapi)
//		}
//		openapi <file> {
//			(as block.openAPI says)
//		}
//	}
//
// A source is path.<name>, query.<name>, header.<name>, host.<n>, token, all or
// none. Only token_from, let_through, route, group and openapi may be
// repeated.
func parseDirective(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	if err := h.UnmarshalCaddyfile(helper.Dispenser); err != nil {
		return nil, err
	}
	// Compiling here finds mistakes when a Caddyfile is adapted, not only when
	// it is run, and with their lines.
	catalog, err := policy.NewCatalog(globalScopes(helper))
	if err != nil {
		return nil, err
	}
	check := *h
	if err := check.compile(catalog); err != nil {
		return nil, err
	}
	return h, nil
}

// globalScopes returns the catalog in the global option, if there is one.
func globalScopes(helper httpcaddyfile.Helper) []policy.Scope {
	option, ok := helper.Option("patgate").(httpcaddyfile.App)
	if !ok {
		return nil
	}
	var app App
	if err := json.Unmarshal(option.Value, &app); err != nil {
		return nil // it was marshaled from an App
	}
	return app.Scopes
}

// UnmarshalCaddyfile reads the directive; parseDirective says how it is written.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	b := newBlock(d)
	h.At = b.place()
	if d.NextArg() {
		return d.Errf("unexpected %q: settings stand in a block", d.Val())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := h.line(b); err != nil {
			return err
		}
	}
	return nil
}

// line reads a route, a group or a setting.
func (h *Handler) line(b *block) error {
	if done, err := b.routes(&h.Routes, &h.Groups, &h.OpenAPI); done || err != nil {
		return err
	}
	done, err := b.setting(&h.Settings)
	if !done && err == nil {
		err = h.site(b)
	}
	if err != nil {
		return err
	}
	// Routes know their lines, settings don't: what doesn't compile from here on
	// is this one's mistake.
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		return err
	}
	settings := *h
	settings.Routes, settings.Groups, settings.OpenAPI = nil, nil, nil
	if err := settings.compile(catalog); err != nil {
		return b.WrapErr(err)
	}
	return nil
}

// site reads a setting that only a site has.
func (h *Handler) site(b *block) error {
	switch b.Val() {
	case "realm":
		return b.once(func() error { return b.text(&h.Realm) })
	case "default":
		return b.once(func() error { return b.word(&h.Default, "deny", "any", "public") })
	case "forward_token":
		return b.once(func() error { return b.word(&h.ForwardToken, "keep", "strip") })
	case "cors_preflight":
		return b.once(func() error { return b.word(&h.CORSPreflight, "forward", "deny") })
	case "encoded_slash":
		return b.once(func() error { return b.word(&h.EncodedSlash, "reject", "allow") })
	case "semicolon":
		return b.once(func() error { return b.word(&h.Semicolon, "reject", "allow") })
	case "stream_check":
		return b.once(func() error { return b.word(&h.StreamCheck, "on", "off") })
	case "identity_headers":
		return b.once(func() error { return h.identityHeaders(b) })
	case "unknown_token":
		return b.once(func() error { return h.unknownToken(b) })
	case "let_through":
		h.LetThrough = append(h.LetThrough, strings.Join(b.RemainingArgs(), " "))
		return nil
	}
	return b.unknown("realm", "token_from", "mode", "error_body", "default", "space", "resource", "forward_token", "identity_headers",
		"route", "group", "openapi", "let_through", "unknown_token", "cors_preflight", "encoded_slash", "semicolon", "stream_check")
}

func (h *Handler) identityHeaders(b *block) error {
	h.IdentityHeaders = new(IdentityHeaders)
	if b.NextArg() {
		if b.Val() == "signed" {
			return b.signedIdentity(h.IdentityHeaders)
		}
		if b.Val() != "off" {
			return b.Errf("identity_headers %q: want off, signed, or a block", b.Val())
		}
		h.IdentityHeaders.Off = true
		return b.end()
	}
	err := b.settings([]setting{
		{"owner", func() error { return b.header(&h.IdentityHeaders.Owner) }},
		{"token", func() error { return b.header(&h.IdentityHeaders.Token) }},
		{"space", func() error { return b.header(&h.IdentityHeaders.Space) }},
		{"scopes", func() error { return b.header(&h.IdentityHeaders.Scopes) }},
	})
	if err == nil && *h.IdentityHeaders == (IdentityHeaders{}) {
		return b.Err("identity_headers: want off, or a block that names headers")
	}
	return err
}

// header reads the name of a header that can carry an identity.
func (b *block) header(name *string) error {
	if err := b.text(name); err != nil {
		return err
	}
	if err := checkIdentityHeader(*name); err != nil {
		return b.WrapErr(err)
	}
	return nil
}

// signedIdentity reads what follows the word signed.
func (b *block) signedIdentity(i *IdentityHeaders) error {
	i.Signed = new(SignedIdentity)
	return b.settings([]setting{
		{"header", func() error { return b.text(&i.Signed.Header) }},
		{"issuer", func() error { return b.text(&i.Signed.Issuer) }},
		{"audience", func() error { return b.text(&i.Signed.Audience) }},
		{"lifetime", func() error { return b.duration(&i.Signed.Lifetime) }},
		{"jwks", func() error { return b.text(&i.Signed.JWKS) }},
	})
}

func (h *Handler) unknownToken(b *block) error {
	args := b.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "reject":
		return nil
	case len(args) == 3 && args[0] == "forward" && args[1] == "until":
		h.UnknownTokenUntil = args[2]
		return nil
	}
	return b.Errf("unknown_token %q: want reject, or forward until <date>", strings.Join(args, " "))
}

// setting reads one of the settings that sites, groups and routes share.
func (b *block) setting(s *policy.Settings) (done bool, err error) {
	switch b.Val() {
	case "token_from":
		text := strings.Join(b.RemainingArgs(), " ")
		if _, err := policy.ParseCredential(text); err != nil {
			return true, b.WrapErr(err)
		}
		s.TokenFrom = append(s.TokenFrom, text)
		return true, nil
	case "mode":
		return true, b.once(func() error { return b.word(&s.Mode, "enforce", "report") })
	case "error_body":
		return true, b.once(func() error { return b.errorBody(s) })
	case "space":
		return true, b.once(func() error { return b.source(&s.Space) })
	case "resource":
		return true, b.once(func() error { return b.source(&s.Resource) })
	}
	return false, nil
}

// errorBody reads the shape of rejections' bodies: by its name, or as a media
// type and a template.
func (b *block) errorBody(s *policy.Settings) error {
	args := b.RemainingArgs()
	for _, named := range policy.ErrorBodies {
		if len(args) == 1 && args[0] == named.Name {
			s.ErrorBody = cmp.Or(named.Body, &policy.ErrorBody{})
			return nil
		}
	}
	if len(args) != 2 {
		return b.Errf("error_body %q: want problem, error, message, message_code, or a media type and a template", strings.Join(args, " "))
	}
	s.ErrorBody = &policy.ErrorBody{ContentType: args[0], Template: args[1]}
	if err := s.ErrorBody.Validate(); err != nil {
		return b.WrapErr(err)
	}
	return nil
}

func (b *block) source(value *string) error {
	name := b.Val()
	if err := b.text(value); err != nil {
		return err
	}
	if _, err := policy.ParseSource(*value); err != nil {
		return b.Errf("%s: %v", name, err)
	}
	return nil
}

// routes reads what routes are made of: a route, a group or an OpenAPI document.
func (b *block) routes(routes *[]policy.RouteConfig, groups *[]policy.GroupConfig, documents *[]policy.OpenAPIConfig) (done bool, err error) {
	switch b.Val() {
	case "route":
		r, err := b.route()
		*routes = append(*routes, r)
		return true, err
	case "group":
		g, err := b.group()
		*groups = append(*groups, g)
		return true, err
	case "openapi":
		d, err := b.openAPI()
		*documents = append(*documents, d)
		return true, err
	}
	return false, nil
}

func (b *block) route() (r policy.RouteConfig, err error) {
	r.At = b.place()
	args := b.RemainingArgs()
	if len(args) < 2 {
		return r, b.Err("route: want methods and a pattern, as in: route GET,POST /spaces/{space}/stories stories:read")
	}
	r.Methods = strings.Split(args[0], ",")
	r.Pattern = asWritten(args[1])
	r.Require = strings.Join(args[2:], " ")
	for i, word := range args[1:] {
		switch {
		case i > 0 && word == "":
			return r, b.Err("route: an empty requirement; any asks for any valid token")
		case i > 0 && word == "optional":
			return r, b.Err("route: optional stands in the route's block")
		case strings.HasSuffix(word, "{"):
			return r, b.Errf("route: %q: want a blank before the {", word)
		}
	}
	return r, b.routeBlock(&r.Settings)
}

// routeBlock reads the block of a route, if it has one.
func (b *block) routeBlock(s *policy.Settings) error {
	inner := newBlock(b.Dispenser)
	for nesting := b.Nesting(); b.NextBlock(nesting); {
		done, err := inner.innerSetting(s)
		if err != nil {
			return err
		}
		if !done {
			return inner.unknown("space", "resource", "token_from", "mode", "error_body", "optional")
		}
	}
	return nil
}

// innerSetting reads one of the settings that groups and routes share.
func (b *block) innerSetting(s *policy.Settings) (done bool, err error) {
	if b.Val() != "optional" {
		return b.setting(s)
	}
	s.Optional = true
	return true, b.once(b.end)
}

func (b *block) group() (g policy.GroupConfig, err error) {
	g.At = b.place()
	if err := b.text(&g.Prefix); err != nil {
		return g, err
	}
	inner := newBlock(b.Dispenser)
	for nesting := b.Nesting(); b.NextBlock(nesting); {
		done, err := inner.innerSetting(&g.Settings)
		if !done && err == nil {
			done, err = inner.routes(&g.Routes, &g.Groups, &g.OpenAPI)
		}
		if err != nil {
			return g, err
		}
		if !done {
			return g, inner.unknown("route", "group", "openapi", "space", "resource", "token_from", "mode", "error_body", "optional")
		}
	}
	if b.ValRaw() != "}" {
		return g, b.Errf("group %s: want a block of routes", g.Prefix)
	}
	return g, nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
