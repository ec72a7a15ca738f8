package caddymodule

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/patgate/patgate/policy"
)

// annotate describes the outcome in the request's span, if Caddy's tracing
// directive has begun one that is recorded, and takes the secrets out of what that
// has put there. Who has sent the request isn't said: traces go to others than
// access logs.
func annotate(ctx context.Context, m *policy.Match, o *outcome) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	attributes := []attribute.KeyValue{attribute.String("patgate.decision", o.reason.String())}
	if o.reported {
		attributes = append(attributes, attribute.Bool("patgate.reported", true))
	}
	if o.tier != "" {
		attributes = append(attributes, attribute.String("patgate.lookup", o.tier))
	}
	if o.tokenID != "" {
		attributes = append(attributes, attribute.String("patgate.token_id", o.tokenID))
	}
	if m.Route != nil {
		attributes = append(attributes, attribute.String("http.route", m.Route.Pattern))
	}
	span.SetAttributes(append(attributes, maskedAttributes(span)...)...)
}

// maskedAttributes returns those of the span's attributes that show a secret, without
// it: set again, they replace what was there. The path, the user agent and the
// first of X-Forwarded-For are there as the client has sent them.
func maskedAttributes(span trace.Span) (changed []attribute.KeyValue) {
	described, ok := span.(interface {
		Name() string
		Attributes() []attribute.KeyValue
	}) // as that of the SDK which Caddy uses
	if !ok {
		return nil
	}
	m := masks.Now()
	if name := described.Name(); m.URL(name) != name { // it may end in one
		span.SetName(m.URL(name))
	}
	for _, a := range described.Attributes() {
		if a.Value.Type() != attribute.STRING {
			continue
		}
		if text := a.Value.AsString(); m.Field(text) != text {
			changed = append(changed, a.Key.String(m.Field(text)))
		}
	}
	return changed
}
