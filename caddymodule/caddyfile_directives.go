package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("patgate_console", parseConsole)
	httpcaddyfile.RegisterDirectiveOrder("patgate_console", httpcaddyfile.Before, "respond")
	httpcaddyfile.RegisterHandlerDirective("patgate_authorize", parseAuthorize)
	httpcaddyfile.RegisterDirectiveOrder("patgate_authorize", httpcaddyfile.After, "try_files") // before patgate
	httpcaddyfile.RegisterHandlerDirective("patgate_health", parseHealth)
	httpcaddyfile.RegisterDirectiveOrder("patgate_health", httpcaddyfile.After, "try_files") // before patgate
}

// parseConsole sets up the console of a site. It is ordered behind all that may
// say who is signed in. Syntax:
//
//	patgate_console [<matcher>] {
//		owner <placeholder>    # who is signed in; default {http.auth.user.id}
//		admin <owner>...       # these see and revoke every owner's tokens
//	}
//
// Both the block and its lines may be left out; admin may be repeated.
func parseConsole(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	c := new(Console)
	return c, c.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile reads the directive; parseConsole says how it is written.
func (c *Console) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.NextArg() {
		return d.Errf("unexpected %q: settings stand in a block", d.Val())
	}
	b := newBlock(d)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "owner":
			err = b.once(func() error { return b.placeholder(&c.Owner) })
		case "admin":
			admins := d.RemainingArgs()
			if len(admins) == 0 {
				err = d.Err("admin: whom? want the names of owners")
			}
			c.Admins = append(c.Admins, admins...)
		default:
			err = b.unknown("owner", "admin")
		}
		if err != nil {
			return err
		}
		if err := c.check(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// parseAuthorize sets up an authorization service. Syntax:
//
//	patgate_authorize nginx | traefik | caddy | envoy
func parseAuthorize(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	a := new(Authorize)
	return a, a.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile reads the directive; parseAuthorize says how it is written.
func (a *Authorize) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	one := d.AllArgs(&a.For)
	if _, known := askers[a.For]; !one || !known || d.NextBlock(0) {
		return d.Errf("patgate_authorize: want who asks, one of %s", whoAsks)
	}
	return nil
}

// parseHealth sets up the answer to probes. Syntax:
//
//	patgate_health [<matcher>]
func parseHealth(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Health)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile reads the directive; parseHealth says how it is written.
func (*Health) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.NextArg() || d.NextBlock(0) {
		return d.ArgErr()
	}
	return nil
}

var (
	_ caddyfile.Unmarshaler = (*Console)(nil)
	_ caddyfile.Unmarshaler = (*Authorize)(nil)
	_ caddyfile.Unmarshaler = (*Health)(nil)
)
