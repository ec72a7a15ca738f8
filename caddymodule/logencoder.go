package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/patgate/patgate/internal/mask"
)

func init() {
	caddy.RegisterModule(new(LogEncoder))
}

// LogEncoder is a log format that shows no tokens. It masks what looks like patgate's
// secrets, and the values of the headers and query keys that gates take tokens from,
// wherever in a line they are. It knows both from the gates. It also masks names and
// passwords of Basic authentication and in URLs. Another format writes the lines.
type LogEncoder struct {
	// The format that writes the lines: a log encoder, with its name in "format".
	// Default: "json", or "console" on a terminal.
	WrappedRaw json.RawMessage `json:"wrap,omitempty" caddy:"namespace=caddy.logging.encoders inline_key=format"`

	logFields                 // of the loggers made from this one's
	wrapped   zapcore.Encoder // nothing is added to it, but to its clones
	isDefault bool
	ctx       caddy.Context
}

// CaddyModule returns the Caddy module information.
func (*LogEncoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.encoders.patgate", New: func() caddy.Module { return new(LogEncoder) }}
}

// Provision sets up the format that writes the lines.
func (e *LogEncoder) Provision(ctx caddy.Context) error {
	e.ctx = ctx
	for _, around := range ctx.Modules() {
		if _, ok := around.(*logging.FilterEncoder); ok {
			// It would write the fields of objects after the line they belong to.
			return errors.New("format filter can't wrap patgate: want format patgate { wrap filter { … } }")
		}
	}
	if e.WrappedRaw == nil {
		e.isDefault = true
		return e.use(new(logging.JSONEncoder))
	}
	wrapped, err := ctx.LoadModule(e, "WrappedRaw")
	if err != nil {
		return fmt.Errorf("loading the format that is wrapped: %w", err)
	}
	e.wrapped = wrapped.(zapcore.Encoder)
	return nil
}

// use wraps a format that isn't loaded by Caddy.
func (e *LogEncoder) use(wrapped zapcore.Encoder) error {
	if p, ok := wrapped.(caddy.Provisioner); ok {
		if err := p.Provision(e.ctx); err != nil {
			return fmt.Errorf("provisioning the default format: %w", err)
		}
	}
	e.wrapped = wrapped
	return nil
}

// ConfigureDefaultFormat implements caddy.ConfiguresFormatterDefault.
func (e *LogEncoder) ConfigureDefaultFormat(to caddy.WriterOpener) error {
	if !e.isDefault {
		if c, ok := e.wrapped.(caddy.ConfiguresFormatterDefault); ok {
			return c.ConfigureDefaultFormat(to)
		}
		return nil
	}
	if caddy.IsWriterStandardStream(to) && term.IsTerminal(int(os.Stderr.Fd())) {
		return e.use(new(logging.ConsoleEncoder))
	}
	return nil
}

// UnmarshalCaddyfile reads the format's options. Syntax:
//
//	format patgate {
//		wrap <format> …
//	}
func (e *LogEncoder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the format's name
	return (&block{d}).settings([]setting{{"wrap", e.wrap}})
}

// wrap reads the format that writes the lines.
func (e *LogEncoder) wrap(b *block) error {
	if !b.NextArg() {
		return b.ArgErr()
	}
	name := b.Val()
	wrapped, err := caddyfile.UnmarshalModule(b.Dispenser, "caddy.logging.encoders."+name)
	if err != nil {
		return err
	}
	if _, ok := wrapped.(zapcore.Encoder); !ok {
		return b.Errf("wrap %s: is no log format", name)
	}
	e.WrappedRaw = caddyconfig.JSONModuleObject(wrapped, "format", name, nil)
	return nil
}

// Clone implements zapcore.Encoder.
func (e *LogEncoder) Clone() zapcore.Encoder {
	return &LogEncoder{logFields: slices.Clip(e.logFields), wrapped: e.wrapped}
}

// EncodeEntry implements zapcore.Encoder.
func (e *LogEncoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	m := masks.Now()
	entry.Message, entry.Stack = m.Text(entry.Message), m.Text(entry.Stack)
	// The fields of one line must not stay for the next.
	line := e.wrapped.Clone()
	for _, fields := range [][]zapcore.Field{e.logFields, fields} {
		for _, f := range fields {
			f.AddTo(maskedObject{line})
		}
	}
	return line.EncodeEntry(entry, nil)
}

// maskedObject takes an object without the secrets in it.
type maskedObject struct{ zapcore.ObjectEncoder }

// AddString implements zapcore.ObjectEncoder.
func (o maskedObject) AddString(key, value string) {
	m := masks.Now()
	switch {
	case key == "uri": // of a request
		value = m.URL(value)
	case value != "" && m.Header(key): // of FastCGI
		value = mask.Redacted
	default:
		value = m.Field(value)
	}
	o.ObjectEncoder.AddString(m.Text(key), value)
}

// AddByteString implements zapcore.ObjectEncoder.
func (o maskedObject) AddByteString(key string, value []byte) { o.AddString(key, string(value)) }

// AddReflected implements zapcore.ObjectEncoder.
func (o maskedObject) AddReflected(key string, value any) error {
	m := masks.Now()
	return o.ObjectEncoder.AddReflected(m.Text(key), m.Value(value))
}

// AddObject implements zapcore.ObjectEncoder.
func (o maskedObject) AddObject(key string, value zapcore.ObjectMarshaler) error {
	return o.ObjectEncoder.AddObject(masks.Now().Text(key), maskObject(value))
}

// AddArray implements zapcore.ObjectEncoder. Headers are arrays, and their names may
// be secrets.
func (o maskedObject) AddArray(key string, value zapcore.ArrayMarshaler) error {
	m := masks.Now()
	key = m.Text(key)
	if m.Header(key) {
		return o.ObjectEncoder.AddArray(key, zapcore.ArrayMarshalerFunc(func(a zapcore.ArrayEncoder) error {
			a.AppendString(mask.Redacted)
			return nil
		}))
	}
	return o.ObjectEncoder.AddArray(key, maskArray(value))
}

func maskObject(value zapcore.ObjectMarshaler) zapcore.ObjectMarshaler {
	return zapcore.ObjectMarshalerFunc(func(o zapcore.ObjectEncoder) error { return value.MarshalLogObject(maskedObject{o}) })
}

func maskArray(value zapcore.ArrayMarshaler) zapcore.ArrayMarshaler {
	return zapcore.ArrayMarshalerFunc(func(a zapcore.ArrayEncoder) error { return value.MarshalLogArray(maskedArray{a}) })
}

// maskedArray takes an array without the secrets in it.
type maskedArray struct{ zapcore.ArrayEncoder }

// AppendString implements zapcore.ArrayEncoder. What headers have is a URL, if it has
// a query in it.
func (a maskedArray) AppendString(value string) {
	a.ArrayEncoder.AppendString(masks.Now().URL(value))
}

// AppendByteString implements zapcore.ArrayEncoder.
func (a maskedArray) AppendByteString(value []byte) { a.AppendString(string(value)) }

// AppendReflected implements zapcore.ArrayEncoder.
func (a maskedArray) AppendReflected(value any) error {
	return a.ArrayEncoder.AppendReflected(masks.Now().Value(value))
}

// AppendObject implements zapcore.ArrayEncoder.
func (a maskedArray) AppendObject(value zapcore.ObjectMarshaler) error {
	return a.ArrayEncoder.AppendObject(maskObject(value))
}

// AppendArray implements zapcore.ArrayEncoder.
func (a maskedArray) AppendArray(value zapcore.ArrayMarshaler) error {
	return a.ArrayEncoder.AppendArray(maskArray(value))
}

var (
	_ zapcore.Encoder                  = (*LogEncoder)(nil)
	_ caddy.Provisioner                = (*LogEncoder)(nil)
	_ caddy.ConfiguresFormatterDefault = (*LogEncoder)(nil)
	_ caddyfile.Unmarshaler            = (*LogEncoder)(nil)
)
