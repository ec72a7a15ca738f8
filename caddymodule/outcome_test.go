package caddymodule

import (
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/patgate/patgate/token"
)

// A client may put a secret where the policy finds a space or a resource, and Caddy's
// own formats write the access log's field as it is.
func TestAccessLogFieldShowsNoSecret(t *testing.T) {
	masks.Add(nil, "pat")
	secret := token.NewSecret("pat")
	o := &outcome{space: secret, resource: "x-" + secret}
	enc := zapcore.NewMapObjectEncoder()
	if err := o.MarshalLogObject(enc); err != nil {
		t.Fatal(err)
	}
	if space, resource := enc.Fields["space"], enc.Fields["resource"]; space != "pat_REDACTED" || resource != "x-pat_REDACTED" {
		t.Errorf("space %v, resource %v", space, resource)
	}
	if n := testing.AllocsPerRun(100, func() { masks.Now().Text("an_ordinary-space 1") }); n != 0 {
		t.Errorf("an ordinary value costs %v allocations", n)
	}
}
