package caddymodule

import (
	"maps"
	"net/http/httptest"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

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

// Without a span that is recorded, it is not described.
func TestTracingCosts(t *testing.T) {
	ctx, o := t.Context(), new(outcome)
	if n := testing.AllocsPerRun(100, func() { annotate(ctx, nil, o) }); n > 0 {
		t.Errorf("%v allocations without a span, want 0", n)
	}
}
