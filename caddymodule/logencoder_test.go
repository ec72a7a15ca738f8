package caddymodule

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

type stringer string

func (s stringer) String() string { return string(s) }

type unencodable struct{}

func (unencodable) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

// Caddy's filter writes what is in objects past the format it wraps.
func TestFilterAroundLogEncoder(t *testing.T) {
	const refused = "format filter can't wrap patgate: want format patgate { wrap filter { … } }"
	for _, row := range []struct{ format, wrapped, want string }{
		{"filter", "patgate", refused}, {"patgate", "filter", ""}, {"append", "patgate", ""},
	} {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		defer cancel()
		_, err := ctx.LoadModuleByID("caddy.logging.encoders."+row.format, fmt.Appendf(nil, `{"wrap": {"format": %q}}`, row.wrapped))
		if (err == nil) != (row.want == "") || err != nil && !strings.HasSuffix(err.Error(), row.want) {
			t.Errorf("%s around %s: %v, want %q", row.format, row.wrapped, err, row.want)
		}
	}
}

// Whatever a field is made of, its texts are masked.
func TestLogEncoder(t *testing.T) {
	masks.Add([]policy.Credential{{Kind: policy.Query, Name: "logged_key"}, {Kind: policy.Header, Name: "X-Logged-Key"}}, "pat")
	own := token.NewSecret("pat")
	const foreign = "n4Wc81qLz0TyRk6E"
	uri := "/x?logged_key=" + foreign
	e := new(LogEncoder)
	e.wrapped = zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg", StacktraceKey: "stack", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder})
	header := http.Header{own: {"x"}, "X-Logged-Key": {foreign}, "Referer": {"https://a.test" + uri}, "Authorization": {"Token " + foreign}, "Accept": {"plain"}}
	with := e.Clone()
	zap.String("with", own).AddTo(with)
	entry := zapcore.Entry{Message: "message " + own, Stack: "goroutine " + own, Level: zapcore.InfoLevel}
	for range 2 { // nothing stays from one line to the next
		line, err := with.EncodeEntry(entry, []zapcore.Field{
			zap.String("uri", uri), zap.ByteString("bytes", []byte(own)), zap.Stringer("stringer", stringer(own)), zap.Error(errors.New(own)),
			zap.Strings("strings", []string{own, "plain"}), zap.Any("any", map[string]any{"a": []string{uri}, "b": "plain&<>"}), zap.Errors("errors", []error{errors.New(own)}),
			zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: &http.Request{RequestURI: uri, Header: header}, ShouldLogCredentials: true}),
			zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: http.Header{"Location": {uri}}}),
			zap.Inline(zapcore.ObjectMarshalerFunc(func(o zapcore.ObjectEncoder) error { o.AddString("inline", own); return nil })),
			zap.Dict("dict", zap.String("deep", own), zap.Dict("deeper", zap.String("uri", uri))),
			zap.Dict("env", zap.String("HTTP_X_LOGGED_KEY", foreign), zap.String("QUERY_STRING", "logged_key='"+foreign), zap.String("HTTP_COOKIE", "")),
			zap.String("appended", "Basic "+base64.StdEncoding.EncodeToString([]byte("x:"+foreign))), zap.Namespace("space"), zap.String("in", own),
			zap.Duration("took", time.Second), zap.Int("n", 7),
		})
		if err != nil {
			t.Fatal(err)
		}
		text := line.String()
		for _, secret := range []string{own[4:20], foreign} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("a secret stands in …%s…", text[max(0, i-60):i])
			}
		}
		for _, kept := range []string{`"uri":"/x?logged_key=REDACTED"`, `"Accept":["plain"]`, `"b":"plain&<>"`, `"n":7`, `"msg":"message pat_REDACTED"`, `"with":"pat_REDACTED"`, `"HTTP_COOKIE":""`, `"pat_REDACTED":["x"]`} {
			if !strings.Contains(text, kept) {
				t.Errorf("%s is not in %s", kept, text)
			}
		}
		if strings.Count(text, `"uri":"/x`) != 3 {
			t.Errorf("fields stand twice: %s", text)
		}
	}
	if line, err := e.EncodeEntry(entry, []zapcore.Field{zap.Any("odd", unencodable{})}); err != nil || !strings.Contains(line.String(), "oddError") {
		t.Errorf("a value that can't be encoded: %v %v", line, err)
	}
}
