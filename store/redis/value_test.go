package redis

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

func TestValues(t *testing.T) {
	t.Parallel()
	n := newToken("a")
	live, pointer := liveValue(7, n), pointerValue(1<<60, digest("b"))
	for _, v := range []string{"", live, pointer} {
		for _, w := range []string{"", live, pointer} {
			mark, before, after, ok := splitIntent(intentValue("8 bytes!", v, w))
			if mark != "8 bytes!" || before != v || after != w || !ok {
				t.Errorf("an intent is read as %q, %q, %q, %v", mark, before, after, ok)
			}
		}
		if _, _, _, ok := splitIntent(v); ok {
			t.Errorf("%q is read as an intent", v)
		}
	}
	if r, err := parseRecord(live); err != nil || !r.live() || r.pointer() || r.version != 7 || !bytes.Equal(r.token.Encode(nil), n.Encode(nil)) {
		t.Errorf("a token is read as %+v, %v", r, err)
	}
	if r, err := parseRecord(pointer); err != nil || r.live() || !r.pointer() || r.version != 1<<60 || r.target != digest("b") {
		t.Errorf("a pointer is read as %+v, %v", r, err)
	}
	damagedIntents := []string{"I", "Ishort", "I8 bytes!\x09x"}
	for _, v := range damagedIntents {
		if _, _, _, ok := splitIntent(v); ok {
			t.Errorf("%q is read as an intent", v)
		}
	}
	for _, v := range append(damagedIntents, "X", "L", "L\x07", "P", "P\x07short", "P\x80", intentValue("8 bytes!", "", live)) {
		if _, err := parseRecord(v); err == nil {
			t.Errorf("%q is read as a record", v)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	future := uint64(time.Now().Add(time.Hour).UnixMicro())
	if v := nextVersion(1, future, 2); v != future+1 {
		t.Errorf("the version after one of a clock that is ahead is %d, want %d", v, future+1)
	}
	if v, now := nextVersion(1), uint64(time.Now().UnixMicro()); v > now || v < now-1e6 {
		t.Errorf("a version is %d, want the time, %d", v, now)
	}
}

// What the parsers accept, they read as it was written.
func FuzzValues(f *testing.F) {
	live := liveValue(7, newToken("a"))
	f.Add(live)
	f.Add(pointerValue(1<<60, digest("b")))
	f.Add(intentValue("8 bytes!", live, ""))
	f.Add(string(appendTouched(appendTouched(nil, touched{digest: digest("a"), version: 9}), touched{isOwner: true, owner: "alice", version: 1, gone: true})))
	f.Add("p 0 1700000000000 " + strings.Repeat("d", 64))
	f.Add("x\x00" + strings.Repeat("d", 32))
	f.Fuzz(func(t *testing.T, v string) {
		if mark, before, after, ok := splitIntent(v); ok {
			again := intentValue(mark, before, after)
			if m, b, a, _ := splitIntent(again); m != mark || b != before || a != after {
				t.Errorf("an intent is read as %q, %q, %q and then %q, %q, %q", mark, before, after, m, b, a)
			}
		}
		if r, err := parseRecord(v); err == nil && r.live() {
			if again, err := parseRecord(liveValue(r.version, r.token)); err != nil || again.version != r.version {
				t.Errorf("a record is written as one that reads %+v, %v", again, err)
			}
		}
		parseOwner(v)
		parseEntry(v)
		if id, d, ok := splitIDEntry(v); ok && idEntry(id, d) != v {
			t.Errorf("%q is read as %q, %x", v, id, d)
		}
		if all, err := parseTouched(v); err == nil {
			var b []byte
			for _, one := range all {
				if one.version<<1>>1 != one.version {
					return
				}
				b = appendTouched(b, one)
			}
			again, err := parseTouched(string(b))
			if err != nil || len(again) != len(all) {
				t.Errorf("%d records are written as %d, %v", len(all), len(again), err)
			}
		}
	})
}

// Whatever a server says of its replicas, of the feed and of events is taken in, or refused.
func FuzzReplies(f *testing.F) {
	f.Add("role:master\r\nslave0:ip=10.0.0.1,port=6379,state=online,offset=1,lag=0\r\nmaster_replid:a\r\n", "1-0", `{"action":"created"}`)
	f.Add("# Replication\r\nrole:master\r\nslave0:ip=x,state=online,lag=\r\nslave1:ip=x,state=online,lag=99\r\n", "18446744073709551615-0", "{}")
	f.Add("role:slave", "0-1", "")
	f.Fuzz(func(t *testing.T, info, id, text string) {
		now := time.Now()
		r := replicas{}.after(info, nil, now)
		if n := strings.Count(info, "slave"); r.want() > n || r.after(info, nil, now).want() != r.want() {
			t.Errorf("%q: %d replicas have to confirm, and then %d", info, r.want(), r.after(info, nil, now).want())
		}
		m := redis.XMessage{ID: id, Values: map[string]any{"e": text, "mark": text, "after": id, "what": text}}
		if e, err := toEntry(m); err == nil && (e.mark != text || e.after != id || e.what != text) {
			t.Errorf("the entry %v is read as %+v", m, e)
		}
		if event, n, err := parseEvent(m); err == nil && event.ID != strconv.FormatUint(n, 10) {
			t.Errorf("event %q has the id %q", id, event.ID)
		}
		_, _ = toCursor([]any{id, text})
	})
}

var sink token.Digest

func BenchmarkParseRecord(b *testing.B) {
	v := liveValue(7, newToken("a"))
	b.ReportAllocs()
	for b.Loop() {
		r, err := parseRecord(v)
		if err != nil {
			b.Fatal(err)
		}
		sink = r.token.Digest
	}
}
