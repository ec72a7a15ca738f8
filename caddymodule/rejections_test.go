package caddymodule

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
)

// What is rejected most comes first, told apart by what the configuration says,
// never by what clients send.
func TestRejections(t *testing.T) {
	g := startGated(t, nil)
	secret := g.create(t)
	send := func(n int, method, target, secret string) {
		for range n {
			r := httptest.NewRequest(method, target, nil)
			r.Header.Set("Authorization", "Bearer "+secret)
			g.server.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	send(1, "GET", "/v1/spaces/1/stories", secret) // not rejected
	send(3, "POST", "/v1/spaces/1/stories", secret)
	send(2, "POST", "/v1/spaces/2/stories", secret)
	for i := range 4 {
		send(1, "GET", fmt.Sprint("/nowhere/", i), secret)
	}
	send(1, "GET", "/v1/spaces//stories", secret)
	got := g.app.hub.rejections.status()
	want := []struct {
		reason, route, detail string
		status                int
		count                 uint64
	}{
		{"scope_missing", "POST /v1/spaces/{space}/stories", "the token lacks the scope that is needed", 403, 5},
		{"route_unknown", "", "no token opens this path with this method", 403, 4},
		{"ambiguous_request", "", "the path has an empty segment", 400, 1},
	}
	if got.Total != 10 || len(got.Top) != len(want) {
		t.Fatalf("%+v, want %d kinds, 10 rejections", got, len(want))
	}
	for i, w := range want {
		if r := got.Top[i]; r.Reason != w.reason || r.Route != w.route || r.Detail != w.detail || r.Status != w.status || r.Count != w.count {
			t.Errorf("number %d is %+v, want %+v", i+1, r, w)
		}
		if since := time.Since(got.Top[i].Last); since < -time.Second || since > time.Minute {
			t.Errorf("number %d was seen last at %s", i+1, got.Top[i].Last)
		}
	}
}

// However many routes reloads bring, memory is bounded, and all are counted.
func TestRejectionsAreBounded(t *testing.T) {
	r := newRejections()
	for i := range rejectionKinds + 100 {
		r.add(&outcome{reason: policy.ScopeMissing}, &policy.Route{Methods: []string{"GET"}, Pattern: fmt.Sprint("/", i)})
	}
	s := r.status()
	if len(r.kinds) != rejectionKinds || s.Total != rejectionKinds+100 || len(s.Top) != rejectionsShown {
		t.Errorf("%d kinds, %d in all, %d shown", len(r.kinds), s.Total, len(s.Top))
	}
	var out strings.Builder
	printRejections(&out, s, time.Now())
	if want := fmt.Sprintf("and %d for other reasons or by other routes\n", rejectionKinds+100-rejectionsShown); !strings.HasSuffix(out.String(), want) {
		t.Errorf("status ends in\n%swant\n%s", &out, want)
	}
}
