package caddymodule

import (
	"strconv"
	"strings"

	"github.com/patgate/patgate/store/redis"
)

// store reads where tokens are kept. Syntax:
//
//	store embedded [<file>]
//	store redis <url>
//	store redis [<url>] {
//		address           <host:port>...
//		cluster
//		sentinel          <master name>
//		username          <name>
//		password          <secret>
//		sentinel_username <name>
//		sentinel_password <secret>
//		db                <number>
//		key_prefix        <text>
//		budget            <duration>
//		tls {
//			ca          <file>
//			cert        <file>
//			key         <file>
//			server_name <name>
//		}
//	}
func (a *App) store(b *block) error {
	args := b.RemainingArgs()
	switch {
	case len(args) > 2:
		return b.Errf("unexpected %q at the end of the line", args[2])
	case len(args) > 0 && args[0] == "embedded":
		a.Store.Kind = "embedded"
		if len(args) == 2 {
			a.Store.File = args[1]
		}
		return nil
	case len(args) > 0 && args[0] == "redis":
		a.Store.Kind = "redis"
		a.Store.Redis = new(RedisConfig)
		if len(args) == 2 {
			a.Store.Redis.URL = args[1]
		}
		return a.Store.Redis.read(b)
	}
	return b.Errf("store %q: want embedded [<file>], redis <url>, or redis with a block", strings.Join(args, " "))
}

func (c *RedisConfig) read(b *block) error {
	if err := b.settings([]setting{
		{"address", func() error {
			if c.Addresses = b.RemainingArgs(); len(c.Addresses) == 0 {
				return b.Err("address: a value is missing")
			}
			if strings.Contains(strings.Join(c.Addresses, ""), "{") {
				return nil
			}
			if err := redis.CheckAddresses(c.Addresses); err != nil {
				return b.Errf("store %w", err)
			}
			return nil
		}},
		{"cluster", func() error { c.Cluster = true; return b.end() }},
		{"sentinel", func() error { return b.text(&c.Sentinel) }},
		{"username", func() error { return b.text(&c.Username) }},
		{"password", func() error { return b.text(&c.Password) }},
		{"sentinel_username", func() error { return b.text(&c.SentinelUsername) }},
		{"sentinel_password", func() error { return b.text(&c.SentinelPassword) }},
		{"db", func() error {
			text := ""
			if err := b.text(&text); err != nil {
				return err
			}
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return b.Errf("db %q: want the number of a database, from 0", text)
			}
			c.DB = n
			return nil
		}},
		{"key_prefix", func() error { return b.text(&c.KeyPrefix) }},
		{"budget", func() error { return b.duration(&c.Budget) }},
		{"tls", func() error { c.TLS = new(RedisTLS); return c.TLS.read(b) }},
	}); err != nil {
		return err
	}
	if c.URL == "" && len(c.Addresses) == 0 {
		return b.Err("store redis: where? want a URL, or a block with address")
	}
	return c.check(b)
}

// check finds what would only be found when the server starts, where nothing has
// to be replaced or read for that.
func (c *RedisConfig) check(b *block) error {
	texts := append([]string{c.URL, c.Sentinel, c.Username, c.Password, c.SentinelUsername, c.SentinelPassword, c.KeyPrefix}, c.Addresses...)
	if c.TLS != nil || strings.Contains(strings.Join(texts, ""), "{") {
		return nil
	}
	if _, err := c.source(); err != nil {
		return b.WrapErr(err)
	}
	return nil
}

func (c *RedisTLS) read(b *block) error {
	return b.settings([]setting{
		{"ca", func() error { return b.text(&c.CA) }},
		{"cert", func() error { return b.text(&c.Cert) }},
		{"key", func() error { return b.text(&c.Key) }},
		{"server_name", func() error { return b.text(&c.ServerName) }},
	})
}
