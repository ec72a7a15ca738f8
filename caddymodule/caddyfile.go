package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/policy"
)

func init() {
	registerHandler("patgate", httpcaddyfile.Before, "basic_auth", parseDirective)
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
//		encoded_slash    reject | allow | data
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
	return h, h.compile(catalog)
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
	b := &block{d}
	h.At = b.place()
	return b.settings(slices.Concat(
		checkedBy(h.compileSettings, slices.Concat(
			[]setting{{"realm", textIn(&h.Realm)}}, commonSettings(&h.Settings), []setting{{"default", textIn(&h.Default)}}, sourceSettings(&h.Settings),
			[]setting{{"forward_token", textIn(&h.ForwardToken)}, {"identity_headers", h.identityHeaders}},
		)),
		routeSettings(&h.Routes, &h.Groups, &h.OpenAPI),
		checkedBy(h.compileSettings, []setting{
			{"let_through", h.letThrough},
			{"unknown_token", h.unknownToken},
			{"cors_preflight", textIn(&h.CORSPreflight)},
			{"encoded_slash", textIn(&h.EncodedSlash)},
			{"semicolon", textIn(&h.Semicolon)},
			{"stream_check", textIn(&h.StreamCheck)},
		}),
	))
}

// compileSettings compiles what has been read but the routes. These know their lines,
// settings don't: what doesn't compile from one line on is this one's mistake.
func (h *Handler) compileSettings() error {
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		return err
	}
	settings := *h
	settings.Routes, settings.Groups, settings.OpenAPI = nil, nil, nil
	return settings.compile(catalog)
}

func (h *Handler) identityHeaders(b *block) error {
	h.IdentityHeaders = new(IdentityHeaders)
	i := h.IdentityHeaders
	if b.NextArg() {
		if b.Val() == "signed" {
			return i.signed(b)
		}
		if b.Val() != "off" {
			return b.Errf("identity_headers %q: want off, signed, or a block", b.Val())
		}
		i.Off = true
		return b.end()
	}
	header := func(_, name string) error { return checkIdentityHeader(name) }
	err := b.settings([]setting{
		{"owner", textIn(&i.Owner, header)},
		{"token", textIn(&i.Token, header)},
		{"space", textIn(&i.Space, header)},
		{"scopes", textIn(&i.Scopes, header)},
	})
	if err == nil && *i == (IdentityHeaders{}) {
		return b.Err("identity_headers: want off, or a block that names headers")
	}
	return err
}

// signed reads what follows the word.
func (i *IdentityHeaders) signed(b *block) error {
	i.Signed = new(SignedIdentity)
	return b.settings([]setting{
		{"header", textIn(&i.Signed.Header)},
		{"issuer", textIn(&i.Signed.Issuer)},
		{"audience", textIn(&i.Signed.Audience)},
		{"lifetime", durationIn(&i.Signed.Lifetime)},
		{"jwks", textIn(&i.Signed.JWKS)},
	})
}

func (h *Handler) letThrough(b *block) error {
	h.LetThrough = append(h.LetThrough, strings.Join(b.RemainingArgs(), " "))
	return nil
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

// commonSettings are those that sites, groups and routes share, besides sourceSettings.
func commonSettings(s *policy.Settings) []setting {
	return []setting{
		{"token_from", func(b *block) error {
			s.TokenFrom = append(s.TokenFrom, strings.Join(b.RemainingArgs(), " "))
			_, err := policy.ParseCredentials(s.TokenFrom)
			return b.wrapped(err)
		}},
		{"mode", textIn(&s.Mode, func(name, word string) error {
			_, err := policy.OneOf(name, word, "enforce", "report")
			return err
		})},
		{"error_body", func(b *block) error { return b.errorBody(s) }},
	}
}

// sourceSettings say where spaces and resources are found.
func sourceSettings(s *policy.Settings) []setting {
	return []setting{{"space", sourceIn(&s.Space)}, {"resource", sourceIn(&s.Resource)}}
}

// innerSettings are those that groups and routes share.
func innerSettings(s *policy.Settings) []setting {
	optional := func(b *block) error {
		s.Optional = true
		return b.end()
	}
	return slices.Concat(sourceSettings(s), commonSettings(s), []setting{{"optional", optional}})
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
	return b.wrapped(s.ErrorBody.Validate())
}

func sourceIn(value *string) reader {
	return textIn(value, func(name, text string) error {
		if err := policy.ValidSource(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// routeSettings are what routes are made of: routes, groups and OpenAPI documents.
func routeSettings(routes *[]policy.RouteConfig, groups *[]policy.GroupConfig, documents *[]policy.OpenAPIConfig) []setting {
	return []setting{
		{"route", addedTo(routes, (*block).route)}, {"group", addedTo(groups, (*block).group)}, {"openapi", addedTo(documents, (*block).openAPI)},
	}
}

// addedTo has what a line says added to a list.
func addedTo[T any](list *[]T, read func(*block) (T, error)) reader {
	return func(b *block) error {
		one, err := read(b)
		*list = append(*list, one)
		return err
	}
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
	err = b.settings(innerSettings(&r.Settings))
	return r, err
}

func (b *block) group() (g policy.GroupConfig, err error) {
	g.At = b.place()
	if err := textIn(&g.Prefix)(b); err != nil {
		return g, err
	}
	if err := b.settings(slices.Concat(routeSettings(&g.Routes, &g.Groups, &g.OpenAPI), innerSettings(&g.Settings))); err != nil {
		return g, err
	}
	if b.ValRaw() != "}" {
		return g, b.Errf("group %s: want a block of routes", g.Prefix)
	}
	return g, nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
