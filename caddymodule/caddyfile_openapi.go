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
//   - base replaces the path of the document's servers.
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
// An operation also goes by its method and path: "GET /users".
// Whatever matches nothing in the document is a mistake. All but base and default
// may be repeated.
func (b *block) openAPI() (d policy.OpenAPIConfig, err error) {
	d.At = b.place()
	if err := textIn(&d.File)(b); err != nil {
		return d, err
	}
	if d.File, err = beside(b.File(), d.File); err != nil {
		return d, b.WrapErr(err)
	}
	err = b.settings(append([]setting{
		{"base", textIn(&d.Base)},
		{"default", func(b *block) error {
			if d.Default = strings.Join(b.RemainingArgs(), " "); d.Default == "" {
				return b.Err("default: a requirement is missing")
			}
			return nil
		}},
		{"scheme", addedTo(&d.Schemes, (*block).scheme)},
		{"ignore", namesIn(&d.Ignore)},
		{"skip", namesIn(&d.Skip)},
		{"operation", addedTo(&d.Operations, (*block).override)},
		{"tag", addedTo(&d.Tags, (*block).override)},
		{"route", addedTo(&d.Routes, (*block).route)},
	}, innerSettings(&d.Settings)...))
	return d, err
}

// beside returns the absolute name of a file named in a Caddyfile. In a snippet, the
// Caddyfile's name is followed by a note about the import.
func beside(caddyfile, name string) (string, error) {
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	caddyfile, _, _ = strings.Cut(caddyfile, " (import")
	return filepath.Abs(filepath.Join(filepath.Dir(caddyfile), name))
}

// scheme reads what a security scheme asks for.
func (b *block) scheme() (s policy.SchemeConfig, err error) {
	s.At = b.place()
	s.Name, s.Require, err = b.named()
	return s, err
}

// override reads what operations need, with the block of a route.
func (b *block) override() (o policy.OverrideConfig, err error) {
	o.At = b.place()
	if o.Name, o.Require, err = b.named(); err != nil {
		return o, err
	}
	err = b.settings(innerSettings(&o.Settings))
	return o, err
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

// namesIn reads names.
func namesIn(all *[]string) reader {
	return func(b *block) error {
		word, names := b.Val(), b.RemainingArgs()
		if len(names) == 0 {
			return b.Errf("%s: a name is missing", word)
		}
		for _, name := range names {
			*all = append(*all, asWritten(name))
		}
		return nil
	}
}
