package caddymodule

import (
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// A request has a user for later handlers if its token is valid, be it one that may not do
// what is asked; not if it is forwarded all the same, in report mode.
func TestUserOfARequest(t *testing.T) {
	for _, row := range []struct {
		o    *outcome
		want bool
	}{
		{&outcome{subject: new(policy.Subject)}, true},
		{&outcome{subject: new(policy.Subject), reason: policy.ScopeMissing}, true},
		{&outcome{subject: new(policy.Subject), reason: policy.ScopeMissing, reported: true}, false},
		{&outcome{subject: new(policy.Subject), reason: policy.TokenRevoked}, false},
		{&outcome{}, false},
	} {
		row.o.owner = "alice"
		if user, ok := row.o.placeholder("http.auth.user.id"); ok != row.want || ok && user != "alice" {
			t.Errorf("%v, reported %t: %v, %t, want %t", row.o.reason, row.o.reported, user, ok, row.want)
		}
	}
}

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
	for _, name := range []string{"detail", "token_id", "owner", "required_scope"} {
		if value, there := enc.Fields[name]; there {
			t.Errorf("%s is %q, want none of what isn't known", name, value)
		}
	}
	if n := testing.AllocsPerRun(100, func() { masks.Now().Text("an_ordinary-space 1") }); n != 0 {
		t.Errorf("an ordinary value costs %v allocations", n)
	}
}
