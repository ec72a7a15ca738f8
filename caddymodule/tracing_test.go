package caddymodule

import (
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// The span that Caddy's tracing directive begins says what the gate has decided,
// by which route, and where it has looked the token up; never who has asked.
func TestTracing(t *testing.T) {
	g := startGated(t, nil)
	secret, unknown := g.create(t), token.NewSecret("pat")
	const stories = "/v1/spaces/1/stories"
	for _, test := range []struct {
		name, method, target, secret string
		want                         map[string]string
	}{
		{"first", "GET", stories, secret, map[string]string{"patgate.decision": "forward", "patgate.lookup": "store", "http.route": "/v1/spaces/{space}/stories"}},
		{"held", "GET", stories, secret, map[string]string{"patgate.decision": "forward", "patgate.lookup": "memory", "http.route": "/v1/spaces/{space}/stories"}},
		{"unknown", "GET", stories, unknown, map[string]string{"patgate.decision": "token_unknown", "patgate.lookup": "store", "http.route": "/v1/spaces/{space}/stories"}},
		{"unknown again", "GET", stories, unknown, map[string]string{"patgate.decision": "token_unknown", "patgate.lookup": "negative", "http.route": "/v1/spaces/{space}/stories"}},
		{"no scope", "POST", stories, secret, map[string]string{"patgate.decision": "scope_missing", "patgate.lookup": "memory", "http.route": "/v1/spaces/{space}/stories"}},
		{"no route", "GET", "/nowhere", secret, map[string]string{"patgate.decision": "route_unknown"}},
		{"ambiguous", "GET", "/v1//", secret, map[string]string{"patgate.decision": "ambiguous_request"}},
	} {
		spans := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		ctx, span := provider.Tracer("test").Start(t.Context(), "request")
		r := httptest.NewRequest(test.method, test.target, nil).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer "+test.secret)
		g.server.ServeHTTP(httptest.NewRecorder(), r)
		span.End()
		got := map[string]string{}
		for _, a := range spans.Ended()[0].Attributes() {
			got[string(a.Key)] = a.Value.String()
		}
		if id, known := got["patgate.token_id"]; known != (test.secret == secret && test.want["patgate.lookup"] != "") || known && id == "" {
			t.Errorf("%s: token id %q", test.name, id)
		}
		delete(got, "patgate.token_id")
		if !maps.Equal(got, test.want) {
			t.Errorf("%s: the span has %v, want %v", test.name, got, test.want)
		}
	}
}

// What Caddy's tracing directive takes over from the request, before the gate sees
// it, has no secret in it when the span ends, whatever becomes of the request.
func TestTracingShowsNoSecret(t *testing.T) {
	g := startGated(t, nil)
	secret := g.create(t)
	masks.Add([]policy.Credential{{Kind: policy.Query, Name: "api_key"}}, "pat")
	for _, target := range []string{"/v1/spaces/1/stories", "/x;api_key='" + secret[4:], "/v1/spaces/" + secret + "/stories", "/" + secret, "/x;api_key=" + secret, "/x%3fapi_key=" + secret, "//" + secret} {
		spans := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		r := httptest.NewRequest("GET", target, nil)
		ctx, span := provider.Tracer("test").Start(t.Context(), "GET "+r.URL.Path, trace.WithAttributes(
			attribute.String("url.path", r.URL.Path), attribute.String("user_agent.original", "agent "+secret), attribute.String("client.address", secret),
			attribute.String("url.scheme", "http"), attribute.Int("server.port", 80)))
		g.server.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
		span.End()
		ended := spans.Ended()[0]
		got := map[attribute.Key]string{"name": ended.Name()}
		for _, a := range ended.Attributes() {
			got[a.Key] = a.Value.String()
		}
		for key, value := range got {
			if strings.Contains(value, secret[4:]) {
				t.Errorf("%s: %s shows a secret", target, key)
			}
		}
		if got["user_agent.original"] != "agent pat_REDACTED" || got["url.scheme"] != "http" || got["server.port"] != "80" || got["url.path"] == "" || got["patgate.decision"] == "" {
			t.Errorf("%s: the span has %v", target, got)
		}
	}
}

// Without a span that is recorded, it is not described.
func TestTracingCosts(t *testing.T) {
	ctx, o := t.Context(), new(outcome)
	if n := testing.AllocsPerRun(100, func() { annotate(ctx, nil, o) }); n > 0 {
		t.Errorf("%v allocations without a span, want 0", n)
	}
}
