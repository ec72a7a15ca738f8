package caddymodule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// block reads the lines of a block.
type block struct{ *caddyfile.Dispenser }

// setting is a word that a block may have, and what reads its line.
type setting struct {
	name string
	read reader
}

// reader reads a line whose first word has been read.
type reader func(*block) error

// repeated are the words that a block may have more than once.
var repeated = []string{
	"token_from", "let_through", "route", "group", "openapi", "scheme", "ignore", "skip", "operation", "tag", "admin",
}

// settings reads a block.
func (b *block) settings(all []setting) error {
	if b.NextArg() {
		return b.Errf("unexpected %q: settings go in a block", b.Val())
	}
	seen := map[string]string{} // the places
	for nesting := b.Nesting(); b.NextBlock(nesting); {
		name := b.Val()
		i := slices.IndexFunc(all, func(s setting) bool { return s.name == name })
		if i < 0 {
			return b.unknown(all)
		}
		if place, twice := seen[name]; twice && !slices.Contains(repeated, name) {
			return b.Errf("%s: is set already (%s)", name, place)
		}
		seen[name] = b.place()
		if err := all[i].read(b); err != nil {
			return err
		}
	}
	return nil
}

// checkedBy has settings checked with each of their lines.
func checkedBy(check func() error, all []setting) []setting {
	for i, s := range all {
		all[i].read = func(b *block) error {
			if err := s.read(b); err != nil {
				return err
			}
			return b.wrapped(check())
		}
	}
	return all
}

// wrapped adds where the dispenser is to an error, if it is one.
func (b *block) wrapped(err error) error {
	if err == nil {
		return nil
	}
	return b.WrapErr(err)
}

// textIn reads one argument, which has to pass the checks. They are told the line's
// first word, too.
func textIn(value *string, checks ...func(name, text string) error) reader {
	return func(b *block) error {
		name := b.Val()
		err := rawTextIn(value)(b)
		*value = asWritten(*value)
		for _, check := range checks {
			if err == nil {
				err = b.wrapped(check(name, *value))
			}
		}
		return err
	}
}

// rawTextIn reads one argument as it is: in contrast to textIn, shorthands of
// placeholders stay what Caddy has made of them.
func rawTextIn(value *string) reader {
	return func(b *block) error {
		name := b.Val()
		if !b.NextArg() || b.Val() == "" {
			return b.Errf("%s: a value is missing", name)
		}
		*value = b.Val()
		return b.end()
	}
}

// numberIn reads a number from 1.
func numberIn(value *int) reader {
	return textIn(new(string), func(name, text string) (err error) {
		if *value, err = strconv.Atoi(text); err != nil || *value <= 0 || *value > maxNumber {
			return fmt.Errorf("%s %q: want a number from 1 to %d", name, text, maxNumber)
		}
		return nil
	})
}

// maxNumber is the most that can be kept of anything. Memory for tokens is set aside
// at once: with a number that was mistyped there would be none left.
const maxNumber = 100_000_000

// minDuration is the shortest duration that can be meant. A number without a unit, which
// Caddy's JSON takes for nanoseconds, is shorter.
const minDuration = time.Millisecond

const wantDuration = "want a duration of at least 1ms, such as 60s"

// durationIn reads a duration.
func durationIn(value *Duration) reader {
	return textIn(new(string), func(name, text string) error {
		d, err := caddy.ParseDuration(text)
		if *value = Duration(d); err != nil || d < minDuration {
			return fmt.Errorf("%s %q: %s", name, text, wantDuration)
		}
		return nil
	})
}

// end refuses further arguments.
func (b *block) end() error {
	if b.NextArg() {
		return b.Errf("unexpected %q at the end of the line", b.Val())
	}
	return nil
}

// unknown is the error for a word that is none of those possible.
func (b *block) unknown(possible []setting) error {
	if b.opens() {
		return b.Err("unexpected block")
	}
	var names []string
	for _, s := range possible {
		names = append(names, s.name)
	}
	hint := ""
	switch {
	case slices.Contains(names, "realm") && slices.Contains(wordsOfOption, b.Val()):
		hint = "; it stands in the global option: { patgate { … } } at the top of the file"
	case slices.Contains(names, "store") && slices.Contains(wordsOfSites, b.Val()):
		hint = "; it stands in the patgate block of a site"
	case slices.Contains(wordsAfter, b.Val()):
		hint = "; is a } missing before it?"
	}
	return b.Errf("unknown word %q: want one of %s%s", b.Val(), strings.Join(names, ", "), hint)
}

// wordsOfOption and wordsOfSites are those that are often looked for in the other's block.
var (
	wordsOfOption = strings.Fields("store cache token unknown_token_limit last_used events grants scopes")
	wordsOfSites  = strings.Fields("realm route group openapi default mode token_from space let_through unknown_token")
)

// wordsAfter are those that often follow a block: most are Caddy's directives.
var wordsAfter = strings.Fields(`abort acme_server basic_auth bind encode error file_server forward_auth group handle handle_errors handle_path
	header intercept invoke log log_append log_name log_skip map method metrics patgate patgate_authorize patgate_console patgate_health
	php_fastcgi redir request_body request_header respond reverse_proxy rewrite root route templates tls tracing try_files uri vars`)

// opens reports whether the current word opens a block. A word that takes one
// has read it, so this is where none belongs.
func (b *block) opens() bool { return b.ValRaw() == "{" }

// place returns where the current word is.
func (b *block) place() string {
	return fmt.Sprintf("%s:%d", b.File(), b.Line())
}

// shorthands has the placeholders that Caddy has put in place of what it takes for
// their short forms, and that mean something else in a pattern.
var shorthands = func() *strings.Replacer {
	caddys := httpcaddyfile.NewShorthandReplacer()
	var pairs []string
	for name := range strings.FieldsSeq(`host hostport port method uri path dir file query remote remote_host remote_port scheme uuid client_ip
		orig_method orig_uri orig_path orig_dir orig_file orig_query
		tls_cipher tls_version tls_client_fingerprint tls_client_issuer tls_client_serial tls_client_subject
		tls_client_certificate_pem tls_client_certificate_der_base64 upstream_hostport re... rp... resp... err...`) {
		written := "{" + name + "}"
		replaced := caddyfile.Segment{{Text: written}}
		caddys.ApplyToSegment(&replaced)
		pairs = append(pairs, replaced[0].Text, written)
	}
	return strings.NewReplacer(pairs...)
}()

// asWritten undoes Caddy's shorthands, so that {file} or {uuid} can be the name
// of a parameter.
func asWritten(s string) string { return shorthands.Replace(s) }
