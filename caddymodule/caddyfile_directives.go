package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	register("patgate_console", httpcaddyfile.Before, "respond", func() directive { return new(Console) })
	// Before patgate.
	register("patgate_authorize", httpcaddyfile.After, "try_files", func() directive { return new(Authorize) })
	register("patgate_health", httpcaddyfile.After, "try_files", func() directive { return new(Health) })
}

// directive is a handler that reads its own directive.
type directive interface {
	caddyhttp.MiddlewareHandler
	caddyfile.Unmarshaler
}

func register(name string, position httpcaddyfile.Positional, other string, empty func() directive) {
	registerHandler(name, position, other, func(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h := empty()
		return h, h.UnmarshalCaddyfile(helper.Dispenser)
	})
}

// registerHandler registers a directive as Caddy registers those of other handlers, with
// the matcher after its name. Where Caddy makes a named route into a single route without
// matchers, it keeps only the first handler, and a gate after another directive would be
// lost: there, the directive gets an empty matcher set, which matches everything and keeps
// its route apart.
func registerHandler(name string, position httpcaddyfile.Positional, other string, parse httpcaddyfile.UnmarshalHandlerFunc) {
	httpcaddyfile.RegisterDirective(name, func(helper httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
		helper.Next() // the directive
		matchers, err := helper.ExtractMatcherSet()
		if err != nil {
			return nil, err
		}
		if matchers == nil && helper.IsNamedRoute() {
			matchers = caddy.ModuleMap{}
		}
		h, err := parse(helper)
		if err != nil {
			return nil, err
		}
		return helper.NewRoute(matchers, h), nil
	})
	httpcaddyfile.RegisterDirectiveOrder(name, position, other)
}

// UnmarshalCaddyfile reads the directive of a console. It is ordered after all that may
// say who is signed in. Syntax:
//
//	patgate_console [<matcher>] {
//		owner <placeholder>    # who is signed in; default {http.auth.user.id}
//		admin <owner>...       # these see and revoke every owner's tokens
//	}
//
// Both the block and its lines may be left out; admin may be repeated.
func (c *Console) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	return (&block{d}).settings(checkedBy(c.check, []setting{
		{"owner", rawTextIn(&c.Owner)},
		{"admin", func(b *block) error {
			admins := b.RemainingArgs()
			if len(admins) == 0 {
				return b.Err("admin: want the names of owners")
			}
			c.Admins = append(c.Admins, admins...)
			return nil
		}},
	}))
}

// UnmarshalCaddyfile reads the directive of an authorization service. Syntax:
//
//	patgate_authorize nginx | traefik | caddy | envoy
func (a *Authorize) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	one := d.AllArgs(&a.For)
	if _, known := askers[a.For]; !one || !known || d.NextBlock(0) {
		return d.Errf("patgate_authorize: want the proxy that asks, one of %s", whoAsks)
	}
	return nil
}

// UnmarshalCaddyfile reads the directive of the answer to probes. Syntax:
//
//	patgate_health [<matcher>]
func (*Health) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.NextArg() || d.NextBlock(0) {
		return d.ArgErr()
	}
	return nil
}
