package caddymodule

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// check finds mistakes in the configuration, and prepares what needs nothing else.
func (a *App) check() (err error) {
	if a.catalog, err = policy.NewCatalog(a.Scopes); err != nil {
		return err
	}
	if err := a.checkBounds(); err != nil {
		return err
	}
	if err := a.Store.check(); err != nil {
		return err
	}
	if a.lastUsed, err = lastUsed(a.LastUsed); err != nil {
		return err
	}
	a.rules, err = a.makeRules()
	return err
}

// plainSecret is said of secrets that are written out in a configuration.
const plainSecret = "a secret is written out in the configuration, where everybody finds it who may read that, also by Caddy's admin endpoint: write {env.NAME} or {file.PATH} for it"

// plainSecrets names the options whose secrets are written out. ({$NAME} is, too, for
// Caddy replaces it when it reads the file.)
func (a *App) plainSecrets() (options []string) {
	type secret struct{ option, text string }
	var secrets []secret
	if p := a.Token.Pepper; p != nil {
		secrets = append(secrets, secret{"token pepper", *p})
	}
	if r := a.Store.Redis; r != nil {
		secrets = append(secrets,
			secret{"store redis", passwordIn(r.URL)}, secret{"store redis password", r.Password}, secret{"store redis sentinel_password", r.SentinelPassword})
	}
	for _, s := range secrets {
		if s.text != "" && !strings.Contains(s.text, "{") {
			options = append(options, s.option)
		}
	}
	return options
}

// passwordIn returns the password in the text of a URL, which placeholders may keep from
// being one.
func passwordIn(text string) string {
	_, rest, _ := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	userinfo := rest[:max(0, strings.LastIndex(rest, "@"))]
	_, password, _ := strings.Cut(userinfo, ":")
	return password
}

// checkBounds refuses numbers and durations that can't be meant.
func (a *App) checkBounds() error {
	for _, of := range []struct {
		name string
		n    int
	}{
		{"cache size", a.Cache.Size}, {"cache negative_size", a.Cache.NegativeSize},
		{"unknown_token_limit tokens", a.UnknownTokenLimit.Tokens}, {"events max", a.Events.Max},
	} {
		if of.n <= 0 || of.n > maxNumber {
			return fmt.Errorf("%s: want a number from 1 to %d, got %d", of.name, maxNumber, of.n)
		}
	}
	for _, of := range []struct {
		name string
		d    time.Duration
	}{
		{"cache ttl", time.Duration(a.Cache.TTL)}, {"cache negative_ttl", time.Duration(a.Cache.NegativeTTL)}, {"cache max_stale", time.Duration(a.Cache.MaxStale)},
		{"unknown_token_limit window", time.Duration(a.UnknownTokenLimit.Window)}, {"events keep", time.Duration(a.Events.Keep)},
	} {
		if of.d < minDuration {
			return fmt.Errorf("%s %q: %s", of.name, of.d, wantDuration)
		}
	}
	return nil
}

// defaultPrefix is what patgate's secrets begin with unless the configuration says
// something else.
const defaultPrefix = "pat"

// makeRules returns the rules for new tokens, except how digests are made.
func (a *App) makeRules() (rules registry.Rules, err error) {
	rules.Prefix = cmp.Or(a.Token.Prefix, defaultPrefix)
	if err := token.ValidPrefix(rules.Prefix); err != nil {
		return rules, fmt.Errorf("token %w", err)
	}
	if rules.DefaultLifetime, rules.MaxLifetime, err = a.Token.lifetimes(); err != nil {
		return rules, err
	}
	if p := a.Token.Pepper; p != nil {
		if err := checkPepper(*p); err != nil {
			return rules, err
		}
	}
	if a.catalog.Complete() {
		rules.Scopes = a.catalog.Names()
		rules.ImpliedBy = a.catalog.ImpliedBy()
	}
	rules.GrantsImmutable = a.GrantsImmutable
	return rules, nil
}

// lastUsed parses the option last_used, and returns what uses.Noter.SetEvery takes.
func lastUsed(text string) (time.Duration, error) {
	if text == "off" {
		return 0, nil
	}
	d, err := caddy.ParseDuration(cmp.Or(text, "10m"))
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("last_used %q: want a duration of at least 1s, such as 10m, or off", text)
	}
	return d, nil
}

// lifetimes returns the default lifetime and the longest, 0 for none.
func (c *TokenConfig) lifetimes() (usual, longest time.Duration, err error) {
	maxLifetime := cmp.Or(c.MaxLifetime, "366d")
	if longest, err = lifetime("max_lifetime", maxLifetime); err != nil {
		return 0, 0, err
	}
	if usual, err = lifetime("default_lifetime", cmp.Or(c.DefaultLifetime, "90d")); err != nil {
		return 0, 0, err
	}
	switch {
	case longest == 0:
	case usual == 0, c.DefaultLifetime != "" && usual > longest:
		return 0, 0, fmt.Errorf("token default_lifetime %s: more than max_lifetime (%s) allows", c.DefaultLifetime, maxLifetime)
	default:
		usual = min(usual, longest)
	}
	return usual, longest, nil
}

// lifetime reads a duration or none, which is 0.
func lifetime(what, text string) (time.Duration, error) {
	if text == "none" {
		return 0, nil
	}
	d, err := caddy.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("token %s %q: want a duration such as 90d, or none", what, text)
	}
	return d, nil
}
