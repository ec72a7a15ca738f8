package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/patgate/patgate/policy"
)

// block reads the lines of a block. seen has the lines of what may stand once.
type block struct {
	*caddyfile.Dispenser
	seen map[string]int
}

func newBlock(d *caddyfile.Dispenser) *block { return &block{d, map[string]int{}} }

// setting is a word that may stand once in a block, and what reads it.
type setting struct {
	name string
	read func() error
}

// settings reads a block of nothing but such settings.
func (b *block) settings(all []setting) error {
	if b.NextArg() {
		return b.Errf("unexpected %q: settings stand in a block", b.Val())
	}
	inner := newBlock(b.Dispenser)
	for nesting := b.Nesting(); b.NextBlock(nesting); {
		i := slices.IndexFunc(all, func(s setting) bool { return s.name == b.Val() })
		if i < 0 {
			var names []string
			for _, s := range all {
				names = append(names, s.name)
			}
			return b.unknown(names...)
		}
		if err := inner.once(all[i].read); err != nil {
			return err
		}
	}
	return nil
}

// once reads a setting that may stand once in a block.
func (b *block) once(read func() error) error {
	name := b.Val()
	if line, twice := b.seen[name]; twice {
		return b.Errf("%s: is set already on line %d", name, line)
	}
	b.seen[name] = b.Line()
	return read()
}

// text reads one argument.
func (b *block) text(value *string) error {
	err := b.placeholder(value)
	*value = asWritten(*value)
	return err
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

// word reads one argument out of those possible.
func (b *block) word(value *string, possible ...string) error {
	name := b.Val()
	if err := b.text(value); err != nil {
		return err
	}
	if _, err := policy.OneOf(name, *value, possible...); err != nil {
		return b.WrapErr(err)
	}
	return nil
}

// end refuses further arguments.
func (b *block) end() error {
	if b.NextArg() {
		return b.Errf("unexpected %q at the end of the line", b.Val())
	}
	return nil
}

// unknown is the error for a word that is none of those possible.
func (b *block) unknown(possible ...string) error {
	if b.opens() {
		return b.Err("unexpected block")
	}
	return b.Errf("unknown word %q: want one of %s", b.Val(), strings.Join(possible, ", "))
}

// opens reports whether the current word opens a block. A word that takes one
// has read it, so this is where none belongs.
func (b *block) opens() bool { return b.ValRaw() == "{" }

// place returns where the current word stands.
func (b *block) place() string {
	return fmt.Sprintf("%s:%d", b.File(), b.Line())
}

// shorthands are the placeholders that Caddy has put in place of what it takes
// for their short forms, and that mean something else in a pattern.
var shorthands = strings.NewReplacer(
	"{http.request.host}", "{host}", "{http.request.hostport}", "{hostport}", "{http.request.port}", "{port}",
	"{http.request.method}", "{method}", "{http.request.uri}", "{uri}", "{http.request.uri.path}", "{path}",
	"{http.request.uri.path.dir}", "{dir}", "{http.request.uri.path.file}", "{file}", "{http.request.uri.query}", "{query}",
	"{http.request.remote}", "{remote}", "{http.request.remote.host}", "{remote_host}", "{http.request.remote.port}", "{remote_port}",
	"{http.request.scheme}", "{scheme}", "{http.request.uuid}", "{uuid}", "{http.vars.client_ip}", "{client_ip}",
	"{http.request.orig_method}", "{orig_method}", "{http.request.orig_uri}", "{orig_uri}", "{http.request.orig_uri.path}", "{orig_path}",
	"{http.request.orig_uri.path.dir}", "{orig_dir}", "{http.request.orig_uri.path.file}", "{orig_file}", "{http.request.orig_uri.query}", "{orig_query}",
	"{http.request.tls.cipher_suite}", "{tls_cipher}", "{http.request.tls.version}", "{tls_version}",
	"{http.request.tls.client.fingerprint}", "{tls_client_fingerprint}", "{http.request.tls.client.issuer}", "{tls_client_issuer}",
	"{http.request.tls.client.serial}", "{tls_client_serial}", "{http.request.tls.client.subject}", "{tls_client_subject}",
	"{http.request.tls.client.certificate_pem}", "{tls_client_certificate_pem}",
	"{http.request.tls.client.certificate_der_base64}", "{tls_client_certificate_der_base64}",
	"{http.reverse_proxy.upstream.hostport}", "{upstream_hostport}",
	"{http.regexp...}", "{re...}", "{http.reverse_proxy...}", "{rp...}", "{http.intercept...}", "{resp...}", "{http.error...}", "{err...}",
)

// asWritten undoes Caddy's shorthands, so that {file} or {uuid} can be the name
// of a parameter.
func asWritten(s string) string { return shorthands.Replace(s) }
