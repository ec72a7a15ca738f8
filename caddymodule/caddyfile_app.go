package caddymodule

import (
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
		return nil, d.Err("the patgate option stands twice")
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
	b := newBlock(d)
	return b.settings([]setting{
		{"store", func() error { return a.store(b) }},
		{"cache", func() error { return a.cache(b) }},
		{"token", func() error { return a.token(b) }},
		{"unknown_token_limit", func() error { return a.unknownTokenLimit(b) }},
		{"last_used", func() error { return a.readLastUsed(b) }},
		{"events", func() error { return a.events(b) }},
		{"grants", func() error { return a.grants(b) }},
		{"scopes", func() error { return a.scopes(b) }},
	})
}

func (a *App) cache(b *block) error {
	return b.settings([]setting{
		{"size", func() error { return b.number(&a.Cache.Size) }},
		{"ttl", func() error { return b.duration(&a.Cache.TTL) }},
		{"negative_size", func() error { return b.number(&a.Cache.NegativeSize) }},
		{"negative_ttl", func() error { return b.duration(&a.Cache.NegativeTTL) }},
		{"max_stale", func() error { return b.duration(&a.Cache.MaxStale) }},
	})
}

func (a *App) token(b *block) error {
	lifetimes := *b.Dispenser // where the last of them stands
	lifetime := func(value *string) error {
		lifetimes = *b.Dispenser
		return b.lifetime(value)
	}
	err := b.settings([]setting{
		{"prefix", func() error {
			if err := b.text(&a.Token.Prefix); err != nil {
				return err
			}
			if err := token.ValidPrefix(a.Token.Prefix); err != nil {
				return b.WrapErr(err)
			}
			return nil
		}},
		{"default_lifetime", func() error { return lifetime(&a.Token.DefaultLifetime) }},
		{"max_lifetime", func() error { return lifetime(&a.Token.MaxLifetime) }},
		{"pepper", func() error {
			if err := b.text(&a.Token.Pepper); err != nil {
				return err
			}
			if p := a.Token.Pepper; len(p) < minPepper && !strings.Contains(p, "{") {
				return b.WrapErr(errShortPepper)
			}
			return nil
		}},
	})
	if err != nil {
		return err
	}
	if _, _, err := a.Token.lifetimes(); err != nil {
		return lifetimes.WrapErr(err)
	}
	return nil
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
		if err == nil && derr == nil && n > 0 && window > 0 {
			a.UnknownTokenLimit.Tokens, a.UnknownTokenLimit.Window = n, caddy.Duration(window)
			return nil
		}
	}
	return b.Errf("unknown_token_limit %q: want a number and a duration, as in 20 60s, or off", strings.Join(args, " "))
}

func (a *App) readLastUsed(b *block) error {
	if err := b.text(&a.LastUsed); err != nil {
		return err
	}
	if _, err := lastUsed(a.LastUsed); err != nil {
		return b.WrapErr(err)
	}
	return nil
}

func (a *App) events(b *block) error {
	return b.settings([]setting{
		{"keep", func() error { return b.duration(&a.Events.Keep) }},
		{"max", func() error { return b.number(&a.Events.Max) }},
	})
}

func (a *App) grants(b *block) error {
	var word string
	if err := b.text(&word); err != nil {
		return err
	}
	if a.GrantsImmutable = word == "immutable"; !a.GrantsImmutable && word != "mutable" {
		return b.Errf("grants %q: want mutable or immutable", word)
	}
	return nil
}

// scopes reads the catalog.
func (a *App) scopes(b *block) error {
	if b.NextArg() {
		return b.Errf("unexpected %q: scopes stand in a block", b.Val())
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
			return false // no such word, or it stands twice
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

// maxNumber is the most that can be kept of anything. Memory for tokens is set aside
// at once: with a number that was mistyped there would be none left.
const maxNumber = 100_000_000

func (b *block) number(value *int) error {
	name, text := b.Val(), ""
	if err := b.text(&text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 || n > maxNumber {
		return b.Errf("%s %q: want a number from 1 to %d", name, text, maxNumber)
	}
	*value = n
	return nil
}

func (b *block) duration(value *caddy.Duration) error {
	name, text := b.Val(), ""
	if err := b.text(&text); err != nil {
		return err
	}
	d, err := caddy.ParseDuration(text)
	if err != nil || d <= 0 {
		return b.Errf("%s %q: want a duration such as 60s", name, text)
	}
	*value = caddy.Duration(d)
	return nil
}

func (b *block) lifetime(value *string) error {
	name := b.Val()
	if err := b.text(value); err != nil {
		return err
	}
	if _, err := lifetime(name, *value); err != nil {
		return b.WrapErr(err)
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*App)(nil)
