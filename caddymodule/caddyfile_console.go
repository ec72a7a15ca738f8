package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("patgate_console", parseConsole)
	httpcaddyfile.RegisterDirectiveOrder("patgate_console", httpcaddyfile.Before, "respond")
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
				err = d.Errf("admin: whom? want the names of owners")
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

// placeholder reads one argument as it is: in contrast to text, shorthands of
// placeholders stay what Caddy has made of them.
func (b *block) placeholder(value *string) error {
	name := b.Val()
	if !b.NextArg() || b.Val() == "" {
		return b.Errf("%s: a value is missing", name)
	}
	*value = b.Val()
	return b.end()
}

var _ caddyfile.Unmarshaler = (*Console)(nil)
