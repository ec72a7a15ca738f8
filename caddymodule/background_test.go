package caddymodule

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/pace"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/uses"
)

// An owner who uses any number of replaced secrets, again and again, doesn't fill the audit
// trail with that, and keeps nobody else's from being reported.
func TestReportsOfReplacedSecrets(t *testing.T) {
	t.Parallel()
	b := &background{retired: uses.NewThrottle(retiredRoom), pace: pace.New(reportsBurst, reportsEvery), reports: make(chan retiredUse, 10*retiredRoom)}
	now := time.Now()
	use := func(owner, id string, secret int) {
		o := &outcome{reason: policy.TokenRevoked, subject: &policy.Subject{ID: policy.NewID(id), Owner: policy.NewOwner(owner, nil)}}
		for i := range 4 { // all that the gate looks at
			binary.LittleEndian.PutUint64(o.stream.digest[8*i:], uint64(secret)*0x9e3779b97f4a7c15)
		}
		b.see(t.Context(), nil, o, now)
	}
	want := func(what string, n int) {
		t.Helper()
		if got := len(b.reports); got != n {
			t.Errorf("%s: %d reports, want %d", what, got, n)
		}
	}
	for range 3 {
		for i := range 2 * retiredRoom {
			use("alice", "a", i)
		}
	}
	want("alice's", reportsBurst)
	use("bob", "b", -1)
	use("", "c", -2)
	use("", "d", -3)
	want("bob's, and two of nobody", reportsBurst+3)
	now = now.Add(reportsEvery)
	use("alice", "a", -4)
	use("alice", "a", -5)
	want("alice's, later", reportsBurst+4)
}
