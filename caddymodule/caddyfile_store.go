package caddymodule

import (
	"fmt"
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
		{"address", func(b *block) error {
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
		{"cluster", func(b *block) error { c.Cluster = true; return b.end() }},
		{"sentinel", textIn(&c.MasterName)},
		{"username", textIn(&c.Username)},
		{"password", textIn(&c.Password)},
		{"sentinel_username", textIn(&c.SentinelUsername)},
		{"sentinel_password", textIn(&c.SentinelPassword)},
		{"db", textIn(new(string), func(name, text string) (err error) {
			if c.DB, err = strconv.Atoi(text); err != nil || c.DB < 0 {
				return fmt.Errorf("%s %q: want the number of a database, from 0", name, text)
			}
			return nil
		})},
		{"key_prefix", textIn(&c.KeyPrefix)},
		{"budget", durationIn(&c.Budget)},
		{"tls", func(b *block) error { c.TLS = new(RedisTLS); return c.TLS.read(b) }},
	}); err != nil {
		return err
	}
	if c.URL == "" && len(c.Addresses) == 0 {
		return b.Err("store redis: want a URL, or a block with address")
	}
	return c.check(b)
}

// check finds what would only be found when the server starts, where nothing has
// to be replaced or read for that.
func (c *RedisConfig) check(b *block) error {
	if c.TLS != nil {
		return nil
	}
	for _, text := range c.texts() {
		if strings.Contains(*text, "{") {
			return nil
		}
	}
	_, err := c.source()
	return b.wrapped(err)
}

func (c *RedisTLS) read(b *block) error {
	return b.settings([]setting{
		{"ca", textIn(&c.CA)},
		{"cert", textIn(&c.Cert)},
		{"key", textIn(&c.Key)},
		{"server_name", textIn(&c.ServerName)},
	})
}
