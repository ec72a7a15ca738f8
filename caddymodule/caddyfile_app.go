package caddymodule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("patgate", parseGlobalOption)
}

// parseGlobalOption sets up the app. Syntax:
//
//	patgate {
//		store embedded [<file>] | redis [<url>] { … }
//		cache {
//			size <n>
//			ttl <duration>
//			negative_size <n>
//			negative_ttl <duration>
//			max_stale <duration>
//		}
//		token {
//			prefix <text>
//			default_lifetime <duration> | none
//			max_lifetime <duration> | none
//			pepper <secret>
//		}
//		unknown_token_limit <n> <duration> | off
//		last_used <duration> | off
//		events {
//			keep <duration>
//			max <n>
//		}
//		grants mutable | immutable
//		scopes {
//			<name> [<description>] [implies <name>... | implies *] [alias <name>...]
//		}
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next() // for the line
		return nil, d.Err("the patgate option is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	if _, err := policy.NewCatalog(app.Scopes); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "patgate", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the global option; parseGlobalOption says how it is
// written.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option
	b := &block{d}
	return b.settings([]setting{
		{"store", a.store},
		{"cache", a.cache},
		{"token", a.token},
		{"unknown_token_limit", a.unknownTokenLimit},
		{"last_used", textIn(&a.LastUsed, func(_, text string) error {
			_, err := lastUsed(text)
			return err
		})},
		{"events", a.events},
		{"grants", a.grants},
		{"scopes", a.scopes},
	})
}

func (a *App) cache(b *block) error {
	return b.settings([]setting{
		{"size", numberIn(&a.Cache.Size)},
		{"ttl", durationIn(&a.Cache.TTL)},
		{"negative_size", numberIn(&a.Cache.NegativeSize)},
		{"negative_ttl", durationIn(&a.Cache.NegativeTTL)},
		{"max_stale", durationIn(&a.Cache.MaxStale)},
	})
}

func (a *App) token(b *block) error {
	lifetimes := *b.Dispenser // where the last of them is
	lifetimeIn := func(value *string) reader {
		return func(b *block) error {
			lifetimes = *b.Dispenser
			return textIn(value, func(name, text string) error {
				_, err := lifetime(name, text)
				return err
			})(b)
		}
	}
	err := b.settings([]setting{
		{"prefix", textIn(&a.Token.Prefix, func(_, text string) error { return token.ValidPrefix(text) })},
		{"default_lifetime", lifetimeIn(&a.Token.DefaultLifetime)},
		{"max_lifetime", lifetimeIn(&a.Token.MaxLifetime)},
		{"pepper", func(b *block) error {
			a.Token.Pepper = new(string)
			return textIn(a.Token.Pepper, func(_, text string) error { return checkPepper(text) })(b)
		}},
	})
	if err != nil {
		return err
	}
	_, _, err = a.Token.lifetimes()
	return (&block{&lifetimes}).wrapped(err)
}

func (a *App) unknownTokenLimit(b *block) error {
	args := b.RemainingArgs()
	if len(args) == 1 && args[0] == "off" {
		a.UnknownTokenLimit.Off = true
		return nil
	}
	if len(args) == 2 {
		n, err := strconv.Atoi(args[0])
		window, derr := caddy.ParseDuration(args[1])
		if err == nil && derr == nil && n > 0 && window >= minDuration {
			a.UnknownTokenLimit.Tokens, a.UnknownTokenLimit.Window = n, Duration(window)
			return nil
		}
	}
	return b.Errf("unknown_token_limit %q: want a number and a duration, as in 20 60s, or off", strings.Join(args, " "))
}

func (a *App) events(b *block) error {
	return b.settings([]setting{{"keep", durationIn(&a.Events.Keep)}, {"max", numberIn(&a.Events.Max)}})
}

func (a *App) grants(b *block) error {
	return textIn(new(string), func(name, word string) error {
		if a.GrantsImmutable = word == "immutable"; !a.GrantsImmutable && word != "mutable" {
			return fmt.Errorf("%s %q: want mutable or immutable", name, word)
		}
		return nil
	})(b)
}

// scopes reads the catalog.
func (a *App) scopes(b *block) error {
	if b.NextArg() {
		return b.Errf("unexpected %q: scopes go in a block", b.Val())
	}
	here := *b.Dispenser
	for nesting := b.Nesting(); b.NextBlock(nesting); {
		if b.opens() {
			return b.Err("unexpected block")
		}
		s := policy.Scope{Name: b.Val(), At: b.place()}
		if !describeScope(&s, b.RemainingArgs()) {
			return b.Errf("scope %s: want a description in quotes, then perhaps implies and the names of scopes, and alias and other names", s.Name)
		}
		if err := token.ValidScopeName(s.Name); err != nil {
			return b.WrapErr(err)
		}
		a.Scopes = append(a.Scopes, s)
	}
	if len(a.Scopes) == 0 {
		return here.Err("scopes declares none: without the option, every scope that a route names is known")
	}
	return nil
}

// describeScope reads what follows a scope's name.
func describeScope(s *policy.Scope, args []string) (ok bool) {
	lists := map[string]*[]string{"implies": &s.Implies, "alias": &s.Aliases}
	if len(args) > 0 && lists[args[0]] == nil {
		s.Description, args = args[0], args[1:]
	}
	for len(args) > 0 {
		list := lists[args[0]]
		if list == nil || *list != nil {
			return false // no such word, or it is there twice
		}
		for args = args[1:]; len(args) > 0 && lists[args[0]] == nil; args = args[1:] {
			*list = append(*list, args[0])
		}
		if *list == nil {
			return false
		}
	}
	return true
}

var _ caddyfile.Unmarshaler = (*App)(nil)
