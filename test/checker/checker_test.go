package checker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// ms makes the times of these histories readable.
const ms = time.Millisecond

// did is a change that was asked for at a time through gateway 0, took 20 ms and
// was done.
func did(kind Kind, at time.Duration, more ...func(*Change)) Change {
	c := Change{Kind: kind, Call: at * ms, Ack: (at + 20) * ms, Secret: 1, Grants: Read1}
	for _, f := range more {
		f(&c)
	}
	return c
}

func lost(c *Change)       { c.Outcome = Lost }
func refused(c *Change)    { c.Outcome = Refused }
func everywhere(c *Change) { c.Everywhere = true }
func anew(c *Change)       { c.Secret = 2 }
func overlap(c *Change)    { c.Secret, c.Overlap = 2, 1000*ms }
func write(c *Change)      { c.Grants = Write1 }

func shows(revoked bool, g Grants) func(*Change) {
	return func(c *Change) { c.Shown = Shown{true, revoked, g} }
}

// asked is a request at a time, to a gateway, with the answer that it got within
// 10 ms. It has secret 1 and needs Read1.
func asked(at time.Duration, gateway int, answer Answer, more ...func(*Request)) Request {
	r := Request{Start: at * ms, End: (at + 10) * ms, Gateway: gateway, Secret: 1, Needs: Read1, Answer: answer}
	for _, f := range more {
		f(&r)
	}
	return r
}

func secret2(r *Request)   { r.Secret = 2 }
func toWrite(r *Request)   { r.Needs = Write1 }
func elsewhere(r *Request) { r.Needs = Read2 }
func slowly(r *Request)    { r.End += 10_000 * ms }

// faulty has gateway 1 not quiet at any time, and the others at all times.
var faulty = []Fault{{To: time.Hour, Gateway: 1, What: "cut"}}

// The checker flags exactly what is wrong. In each history the feed takes 500 ms
// at most, max_stale is 2 s, negative_ttl 300 ms.
func TestCheck(t *testing.T) {
	t.Parallel()
	created := did(Import, 0)
	for _, row := range []struct {
		name   string
		token  []Change
		owner  []Change
		faults []Fault
		good   []Request
		bad    []Request
		wrong  int // changes that contradict others
	}{
		{
			name: "nothing is there", good: []Request{asked(0, 0, Unknown), asked(9000, 2, Unknown)},
			bad: []Request{asked(0, 0, Forwarded), asked(0, 1, Revoked), asked(0, 2, Unexpected), asked(0, 2, Unavailable)},
		},
		{
			name: "created", token: []Change{created},
			good: []Request{
				asked(15, 2, Forwarded), asked(15, 2, Unknown), // under way
				asked(100, 1, Unknown), asked(320, 1, Unknown), asked(100, 1, Forwarded), asked(321, 1, Forwarded),
				asked(100, 0, Forwarded),
				asked(5000, 1, Unknown, secret2), asked(5000, 1, ScopeMissing, toWrite), asked(5000, 1, SpaceNotGranted, elsewhere),
			},
			bad: []Request{
				asked(21, 0, Unknown), // by the gateway that made it
				asked(321, 1, Unknown),
				asked(100, 1, Revoked), asked(100, 1, ScopeMissing), asked(100, 1, Forwarded, toWrite), asked(100, 1, Forwarded, elsewhere),
				asked(100, 1, SpaceNotGranted, toWrite), asked(100, 1, Forwarded, secret2), asked(100, 1, OwnerDisabled),
			},
		},
		{
			name: "created, and refused during a fault", token: []Change{created}, faults: faulty,
			good: []Request{asked(320, 1, Unknown), asked(9000, 1, Unavailable)},
			bad:  []Request{asked(321, 1, Unknown), asked(9000, 2, Unavailable)},
		},
		{
			name: "a gateway is killed", token: []Change{created, did(Revoke, 5000, lost)},
			faults: []Fault{{From: 4000 * ms, To: 6000 * ms, Gateway: 1, Dead: true}, {From: 4000 * ms, To: 9000 * ms, Gateway: 2}},
			good:   []Request{asked(3990, 1, NoAnswer), asked(5000, 1, NoAnswer), asked(6000, 1, NoAnswer), asked(6000, 1, Unavailable)},
			bad:    []Request{asked(3980, 1, NoAnswer), asked(6001, 1, NoAnswer), asked(5000, 2, NoAnswer), asked(5000, 0, NoAnswer)},
		},
		{
			name: "revoked", token: []Change{created, did(Revoke, 5000)}, faults: faulty,
			good: []Request{
				asked(4980, 0, Forwarded), asked(5010, 0, Forwarded), asked(5010, 0, Revoked), asked(5021, 0, Revoked),
				asked(5500, 2, Forwarded), asked(5500, 2, Revoked), asked(5521, 2, Revoked),
				asked(7000, 1, Forwarded), asked(7000, 1, Forwarded, slowly), asked(7021, 1, Revoked), asked(7021, 1, Unavailable),
				asked(0, 2, Revoked, slowly),
			},
			bad: []Request{
				asked(4980, 0, Revoked), asked(5021, 0, Forwarded),
				asked(5521, 2, Forwarded), asked(7021, 1, Forwarded), asked(7021, 1, Forwarded, slowly),
				asked(9000, 0, Unknown), asked(9000, 0, Unavailable),
			},
		},
		{
			name: "revoked on all gateways", token: []Change{created, did(Revoke, 5000, everywhere)}, faults: faulty,
			good: []Request{asked(5020, 1, Forwarded), asked(5021, 1, Revoked)},
			bad:  []Request{asked(5021, 1, Forwarded), asked(5021, 2, Forwarded)},
		},
		{
			name: "revoked again, by a gateway that need not know that it was", token: []Change{created, did(Revoke, 5000, func(c *Change) { c.Gateway = 1 }), did(Revoke, 5030)},
			good: []Request{asked(5100, 0, Forwarded), asked(5520, 0, Forwarded)},
			bad:  []Request{asked(5521, 0, Forwarded), asked(5100, 1, Forwarded)},
		},
		{
			name: "an answer was lost", token: []Change{created, did(Revoke, 5000, lost)},
			good: []Request{asked(9000, 0, Forwarded), asked(9000, 0, Revoked), asked(9010, 2, Forwarded)},
			bad:  []Request{asked(4000, 0, Revoked), asked(9000, 0, Unknown)},
		},
		{
			name: "an answer was lost, and a later one shows that it was done", token: []Change{created, did(Revoke, 5000, lost), did(AddGrant, 6000, write, shows(true, Read1|Write1))},
			good: []Request{asked(5990, 1, Forwarded), asked(6500, 1, Forwarded), asked(9000, 1, Revoked)},
			bad:  []Request{asked(6021, 0, Forwarded), asked(6521, 1, Forwarded)},
		},
		{
			name: "an answer was lost, and a later one shows that it was not done", token: []Change{created, did(Revoke, 5000, lost), did(AddGrant, 6000, write, shows(false, Read1|Write1))},
			good: []Request{asked(9000, 1, Forwarded), asked(9000, 1, Forwarded, toWrite)},
			bad:  []Request{asked(9000, 1, Revoked), asked(6021, 0, ScopeMissing, toWrite)},
		},
		{
			name: "an answer was lost, and a later change made it all the same", token: []Change{created, did(Revoke, 5000, lost), did(Delete, 6000)},
			good: []Request{asked(9000, 1, Unknown)},
			bad:  []Request{asked(9000, 1, Revoked), asked(9000, 1, Forwarded)},
		},
		{
			name: "an acknowledged change was lost", token: []Change{created, did(Revoke, 5000), did(AddGrant, 6000, write, shows(false, Read1|Write1))}, wrong: 1,
		},
		{name: "an acknowledged grant was lost", token: []Change{created, did(AddGrant, 5000, write, shows(false, Write1))}, wrong: 1},
		{name: "refused with a reason", token: []Change{did(Revoke, 0, refused), did(Import, 100), did(Import, 200, refused)}},
		{name: "refused without a reason", token: []Change{created, did(Revoke, 5000, refused)}, wrong: 1},
		{name: "made twice", token: []Change{created, did(Import, 100)}, wrong: 1},
		{
			name: "a state goes by before a gateway hears of it", token: []Change{created, did(Revoke, 5000), did(Regenerate, 5050, anew, shows(false, Read1))},
			good: []Request{
				asked(5100, 1, Forwarded), asked(5100, 1, Revoked), asked(5100, 1, Forwarded, secret2), asked(5370, 1, Unknown, secret2),
				asked(5571, 1, Revoked), asked(5571, 1, Forwarded, secret2),
			},
			bad: []Request{asked(5371, 1, Unknown, secret2), asked(5571, 1, Forwarded), asked(5571, 1, Revoked, secret2), asked(4000, 1, Forwarded, secret2)},
		},
		{
			name: "regenerated with an overlap", token: []Change{created, did(Regenerate, 5000, overlap)},
			good: []Request{asked(5900, 1, Forwarded), asked(6010, 1, Forwarded), asked(6010, 1, Revoked), asked(6100, 0, Revoked), asked(6100, 0, Forwarded, secret2)},
			bad:  []Request{asked(5900, 1, Revoked), asked(6100, 1, Forwarded, toWrite), asked(6100, 0, Forwarded)},
		},
		{
			name:  "an overlap that ends early",
			token: []Change{created, did(Regenerate, 5000, overlap), did(Regenerate, 5100, func(c *Change) { c.Secret = 3 })},
			good:  []Request{asked(5700, 1, Revoked), asked(5700, 1, Revoked, secret2)},
			bad:   []Request{asked(5700, 1, Forwarded), asked(5700, 1, Forwarded, secret2)},
		},
		{
			name: "secrets that nobody has seen", token: []Change{
				created, did(Regenerate, 1000, lost, func(c *Change) { c.Secret = 0 }), did(Regenerate, 2000, anew, shows(false, Read1)),
				did(Regenerate, 90_000, func(c *Change) { c.Secret = 3 }),
			},
			good: []Request{asked(1500, 0, Forwarded), asked(1500, 0, Revoked), asked(2100, 0, Forwarded, secret2), asked(95_000, 0, Revoked), asked(95_000, 0, Revoked, secret2)},
			bad:  []Request{asked(2100, 0, Forwarded), asked(95_000, 0, Forwarded), asked(95_000, 0, Unknown), asked(95_000, 0, Forwarded, secret2)},
		},
		{
			name: "deleted and made again", token: []Change{created, did(Delete, 5000), did(Import, 9000)},
			good: []Request{asked(8000, 1, Unknown), asked(10000, 1, Forwarded)},
			bad:  []Request{asked(8000, 1, Forwarded), asked(10000, 1, Unknown)},
		},
		{
			name: "grants taken", token: []Change{created, did(RemoveGrants, 5000, shows(false, 0))},
			good: []Request{asked(5500, 1, Forwarded), asked(5521, 1, SpaceNotGranted)},
			bad:  []Request{asked(5521, 1, Forwarded), asked(5521, 1, ScopeMissing)},
		},
		{
			name: "owner disabled and enabled", token: []Change{created}, owner: []Change{did(DisableOwner, 5000), did(EnableOwner, 8000)}, faults: faulty,
			good: []Request{asked(5500, 2, Forwarded), asked(5521, 2, OwnerDisabled), asked(7000, 1, Forwarded), asked(8500, 2, OwnerDisabled), asked(10000, 1, OwnerDisabled), asked(10021, 1, Forwarded)},
			bad:  []Request{asked(5021, 0, Forwarded), asked(5521, 2, Forwarded), asked(7021, 1, Forwarded), asked(8521, 2, OwnerDisabled), asked(10021, 1, OwnerDisabled)},
		},
		{
			name: "owner's record deleted", token: []Change{created}, owner: []Change{did(DisableOwner, 5000), did(DeleteOwner, 8000, everywhere)},
			good: []Request{asked(7000, 1, OwnerDisabled), asked(8021, 2, Forwarded)}, bad: []Request{asked(8021, 2, OwnerDisabled)},
		},
		{
			name: "after a fault", faults: []Fault{{From: 1000 * ms, To: 2000 * ms, Gateway: AllGateways, Recovery: 500 * ms}, {From: 2400 * ms, To: 3000 * ms, Gateway: 1, Recovery: 100 * ms}},
			good: []Request{asked(995, 0, Unavailable), asked(2500, 0, Unavailable), asked(2900, 1, Unavailable), asked(3100, 1, Unavailable), asked(2000, 2, Unknown)},
			bad:  []Request{asked(980, 0, Unavailable), asked(2501, 0, Unavailable), asked(3101, 1, Unavailable), asked(1500, 2, Unexpected)},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := &History{
				Bounds: Bounds{Feed: 500 * ms, Stale: 2000 * ms, Unknown: 300 * ms}, Gateways: 3,
				Tokens: []*Token{{Name: "t", Changes: row.token}}, Owners: []*Owner{{Name: "o", Changes: row.owner}},
				Faults: row.faults, Requests: slices.Concat(row.good, row.bad),
			}
			requests, wrong := map[string]bool{}, 0
			for _, v := range Check(h) {
				if _, _, isRequest := strings.Cut(v.Text, "secret "); isRequest && !strings.Contains(v.Text, "via gateway") {
					requests[v.Text] = true
				} else {
					wrong++
				}
			}
			for i := range h.Requests {
				r := &h.Requests[i]
				text := h.judge(h.quietTimes(), r)
				if got, want := requests[text] && text != "", i >= len(row.good); got != want {
					t.Errorf("%s, answered %s: flagged %t, want %t", h.describe(r), r.Answer, got, want)
				}
			}
			if wrong != row.wrong {
				t.Errorf("%d changes are flagged, want %d: %v", wrong, row.wrong, Check(h))
			}
		})
	}
}

// However many changes are lost, what a token may be stays small enough to judge.
func TestManyLostChanges(t *testing.T) {
	t.Parallel()
	changes := []Change{did(Import, 0)}
	for i := range time.Duration(200) {
		c := did(Regenerate, 1000*i, lost, overlap)
		c.Secret = 0
		changes = append(changes, c, did(Revoke, 1000*i+100, lost), did(AddGrant, 1000*i+200, lost, write), did(RemoveGrants, 1000*i+300, lost))
	}
	h := &History{Bounds: Bounds{Feed: 500 * ms, Stale: 2000 * ms}, Gateways: 1, Tokens: []*Token{{Changes: changes}}, Owners: []*Owner{{}}}
	if v := Check(h); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
	for _, s := range h.Tokens[0].timeline.steps {
		if n := len(s.states); n > 1000 {
			t.Fatalf("%d states", n)
		}
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	h := &History{
		Bounds: Bounds{Feed: 500 * ms, Stale: 2000 * ms}, Gateways: 2,
		Tokens:   []*Token{{Name: "t", Changes: []Change{did(Import, 0), did(Revoke, 5000, everywhere)}}},
		Owners:   []*Owner{{Name: "o", Changes: []Change{did(DisableOwner, 1000, lost)}}},
		Requests: []Request{asked(3000, 1, Forwarded), asked(3500, 1, Forwarded), asked(6000, 1, Forwarded), asked(7000, 1, Revoked)},
		Faults:   []Fault{{From: 2000 * ms, To: 4000 * ms, Gateway: 1, What: "cut"}},
	}
	var b strings.Builder
	for _, v := range Check(h) {
		fmt.Fprintln(&b, v.Text)
	}
	Print(&b, h, 0)
	const want = `6.000–6.010 gateway 1, token t, secret 1, read in 1: answered forward, want token_revoked
token t of owner o:
    0.000 ** 0.000–0.020 via gateway 0: import with secret 1, read in 1: done; now (secret 1, read in 1)
    1.000 ** owner o: 1.000–1.020 via gateway 0: disable: LOST; now (no record) or (disabled)
    2.000    fault, gateway 1: cut until 4.000
    3.000    gateway 1, secret 1, read in 1: forward, 3× until 6.010
    5.000 ** 5.000–5.020 via gateway 0: revoke: done on all gateways; now (revoked, secret 1, read in 1)
    7.000    gateway 1, secret 1, read in 1: token_revoked, 1× until 7.010
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
