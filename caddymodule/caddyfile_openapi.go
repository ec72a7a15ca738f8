package caddymodule

import (
	"path/filepath"
	"strings"

	"github.com/patgate/patgate/policy"
)

// openAPI reads a document whose operations are routes. Syntax:
//
//	openapi <file> [{
//		base      <path>
//		default   <requirement>
//		scheme    <name> <requirement>
//		ignore    <name>...
//		skip      <operationId>...
//		operation <operationId> <requirement> [{ … }]
//		tag       <name> <requirement> [{ … }]
//		route     <methods> <path> <requirement> [{ … }]
//		(space, resource, token_from, mode, error_body, optional as in a group)
//	}]
//
// The file is beside the Caddyfile, or absolute. An operation needs what its
// security in the document says: one entry of the list, all schemes and scopes
// within it. Scopes are those of the document.
//
//   - base stands in place of the path of the document's servers.
//   - scheme says what a security scheme asks for where it names no scopes.
//   - default is what operations need that say nothing of security, and, unless
//     it is public, those whose schemes name no scopes and have no scheme line.
//   - ignore names schemes that aren't tokens, such as a session's cookie. What
//     can only be done with them, no token can do: never.
//   - skip leaves operations out: no route, unless one is written elsewhere.
//   - operation, tag and route say what operations need whatever the document
//     says: the one with this operationId, those with this tag unless they have
//     an operation or route line, those with these methods and this path, without
//     the base. The blocks are those of a route.
//
// An operation without an operationId goes by its method and path: "GET /users".
// Whatever matches nothing in the document is a mistake. All but base and default
// may be repeated.
func (b *block) openAPI() (d policy.OpenAPIConfig, err error) {
	d.At = b.place()
	if err := b.text(&d.File); err != nil {
		return d, err
	}
	if d.File, err = beside(b.File(), d.File); err != nil {
		return d, b.WrapErr(err)
	}
	inner := newBlock(b.Dispenser)
	for nesting := b.Nesting(); b.NextBlock(nesting); {
		if err := inner.openAPILine(&d); err != nil {
			return d, err
		}
	}
	return d, nil
}

// beside returns the absolute name of a file named in a Caddyfile. What stands in
// a snippet has a note about that behind the file's name.
func beside(caddyfile, name string) (string, error) {
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	caddyfile, _, _ = strings.Cut(caddyfile, " (import")
	return filepath.Abs(filepath.Join(filepath.Dir(caddyfile), name))
}

func (b *block) openAPILine(d *policy.OpenAPIConfig) error {
	place := b.place()
	switch b.Val() {
	case "base":
		return b.once(func() error { return b.text(&d.Base) })
	case "default":
		return b.once(func() error {
			d.Default = strings.Join(b.RemainingArgs(), " ")
			if d.Default == "" {
				return b.Err("default: a requirement is missing")
			}
			return nil
		})
	case "scheme":
		name, require, err := b.named()
		d.Schemes = append(d.Schemes, policy.SchemeConfig{Name: name, Require: require, At: place})
		return err
	case "ignore":
		return b.names(&d.Ignore)
	case "skip":
		return b.names(&d.Skip)
	case "operation":
		return b.override(&d.Operations)
	case "tag":
		return b.override(&d.Tags)
	case "route":
		r, err := b.route()
		d.Routes = append(d.Routes, r)
		return err
	}
	done, err := b.innerSetting(&d.Settings)
	if !done && err == nil {
		err = b.unknown("base", "default", "scheme", "ignore", "skip", "operation", "tag", "route",
			"space", "resource", "token_from", "mode", "error_body", "optional")
	}
	return err
}

// override reads what operations need, with the block of a route.
func (b *block) override(overrides *[]policy.OverrideConfig) (err error) {
	o := policy.OverrideConfig{At: b.place()}
	if o.Name, o.Require, err = b.named(); err != nil {
		return err
	}
	err = b.routeBlock(&o.Settings)
	*overrides = append(*overrides, o)
	return err
}

// named reads a name and a requirement.
func (b *block) named() (name, require string, err error) {
	word := b.Val()
	args := b.RemainingArgs()
	if len(args) < 2 {
		return "", "", b.Errf("%s: want a name and a requirement", word)
	}
	return asWritten(args[0]), strings.Join(args[1:], " "), nil
}

// names reads names.
func (b *block) names(all *[]string) error {
	word := b.Val()
	args := b.RemainingArgs()
	if len(args) == 0 {
		return b.Errf("%s: a name is missing", word)
	}
	for _, name := range args {
		*all = append(*all, asWritten(name))
	}
	return nil
}
