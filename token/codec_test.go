package token

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestEncodeAndDecode(t *testing.T) {
	for _, c := range []struct {
		name string
		tok  *Token
	}{
		{"everything", everything()},
		{"nothing", &Token{}},
		{"a grant of empty lists", &Token{Grants: []Grant{{}}}},
		{"empty members", &Token{Grants: []Grant{{Spaces: []string{"", ""}}}}},
		{"any bytes", &Token{ID: "\x00", Name: "\xff\xfe", Owner: string(make([]byte, 300))}},
		{"before 1970", &Token{CreatedAt: time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC)}},
		{"the epoch, which is not no time", &Token{ExpiresAt: time.Unix(0, 0).UTC()}},
		{"beyond what nanoseconds reach", &Token{ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)}},
		{"retired at once", &Token{Retired: []RetiredSecret{{Digest: Digest{9}}}}},
		{"IPv4 in IPv6", &Token{LastUsedIP: netip.MustParseAddr("::ffff:10.0.0.1")}},
	} {
		raw := c.tok.Encode(nil)
		got, err := Decode(raw)
		if err != nil || !reflect.DeepEqual(got, c.tok) {
			t.Errorf("%s: Decode(Encode()) = %+v, %v, want %+v", c.name, got, err, c.tok)
		}
		if appended := c.tok.Encode([]byte("before")); string(appended) != "before"+string(raw) {
			t.Errorf("%s: Encode doesn't append what it returns alone", c.name)
		}
		clear(raw)
		if err == nil && !reflect.DeepEqual(got, c.tok) {
			t.Errorf("%s: the decoded token shares memory with its stored form", c.name)
		}
	}
}

func TestEncodeAndDecodeOwner(t *testing.T) {
	for _, o := range []*Owner{
		{},
		{ID: "alice", Enabled: true, Admin: true, Grants: []Grant{Full()}, CreatedAt: t0, UpdatedAt: t0.Add(time.Second)},
		{ID: "Zoë/ops", Grants: []Grant{{Scopes: []string{"a", "b"}}}},
		NewOwner("bob"),
		{ID: "carol", MayCreate: true, MaxTokens: 1 << 30},
	} {
		got, err := DecodeOwner(o.Encode(nil))
		if err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("DecodeOwner(Encode()) = %+v, %v, want %+v", got, err, o)
		}
	}
}

// Records that were stored before there were limits on making tokens set none.
func TestDecodeOldOwner(t *testing.T) {
	old := slices.Clip(putBool(putString([]byte{codecVersion}, tagOwnerID, "alice"), tagOwnerEnabled, true))
	got, err := DecodeOwner(putGrants(old, tagOwnerGrant, []Grant{Full()}))
	if err != nil || !reflect.DeepEqual(got, NewOwner("alice")) {
		t.Errorf("DecodeOwner = %+v, %v, want an owner without limits", got, err)
	}
	for name, v := range map[string][]byte{
		"no number": nil, "an unfinished one": {0x80}, "two": {1, 1}, "one beyond an int": binary.AppendUvarint(nil, 1<<63),
	} {
		_, err := DecodeOwner(putField(old, tagOwnerMaxTokens, v))
		wantError(t, "max_tokens of "+name, err, "damaged")
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"a field of a newer patgate", putField(old, 200, "x"), "record has field 200"},
		{"a field of a newer patgate in a grant", putField(old, tagOwnerGrant, []byte{200, 0}), "grant has field 200"},
		{"a short time", putField(old, tagOwnerCreatedAt, make([]byte, 8)), "damaged"},
	} {
		_, err := DecodeOwner(c.raw)
		wantError(t, c.name, err, c.want)
	}
}

// Times keep their instant, not their zone.
func TestTimesAreStoredInUTC(t *testing.T) {
	local := t0.In(time.FixedZone("CET", 3600))
	got, err := Decode((&Token{CreatedAt: local}).Encode(nil))
	if err != nil || got.CreatedAt != t0 {
		t.Errorf("CreatedAt = %v, %v, want %v", got.CreatedAt, err, t0)
	}
}

func TestDecodeRefuses(t *testing.T) {
	field := func(tag byte, v ...byte) []byte { return putField([]byte{codecVersion}, tag, v) }
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"nothing", nil, "damaged"},
		{"a newer version", []byte{codecVersion + 1}, "record has version 2, this patgate reads version 1"},
		{"a field of a newer patgate", field(200, 1), "record has field 200"},
		{"a field of a newer patgate in a grant", field(tagGrant, 200, 0), "grant has field 200"},
		{"a tag without a length", []byte{codecVersion, tagID}, "damaged"},
		{"a length beyond the end", []byte{codecVersion, tagID, 2, 'a'}, "damaged"},
		{"a length beyond an int", append([]byte{codecVersion, tagID}, binary.AppendUvarint(nil, 1<<63)...), "damaged"},
		{"a length beyond 64 bits", append([]byte{codecVersion, tagID}, bytes.Repeat([]byte{0xff}, 11)...), "damaged"},
		{"an unfinished length", []byte{codecVersion, tagID, 0x80}, "damaged"},
		{"a short digest", field(tagDigest, make([]byte, 31)...), "damaged"},
		{"a long digest", field(tagDigest, make([]byte, 33)...), "damaged"},
		{"a short time", field(tagExpiresAt, make([]byte, 8)...), "damaged"},
		{"too many nanoseconds", field(tagExpiresAt, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0), "damaged"},
		{"a time in the year 10000", field(tagExpiresAt, 0, 0, 0, 0x3a, 0xff, 0xf4, 0x41, 0x80, 0, 0, 0, 0), "damaged"},
		{"a time before the year 1", field(tagRevokedAt, 0xff, 0xff, 0xff, 0xf1, 0x88, 0x6e, 0x08, 0xff, 0, 0, 0, 0), "damaged"},
		{"a time that is so late that it counts as an early one", field(tagExpiresAt, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0), "damaged"},
		{"a retired digest without its time", field(tagRetired, make([]byte, 32)...), "damaged"},
		{"an address of five bytes", field(tagLastUsedIP, make([]byte, 5)...), "damaged"},
		{"a range of three bytes", field(tagAllowedIP, make([]byte, 3)...), "damaged"},
		{"a range longer than its address", field(tagAllowedIP, 10, 0, 0, 0, 33), "damaged"},
	} {
		_, err := Decode(c.raw)
		wantError(t, c.name, err, c.want)
	}

	// A record that was cut short anywhere is either refused or, where the cut
	// falls between fields, a record without the later ones: never a panic.
	raw := everything().Encode(nil)
	for n := range raw {
		if tok, err := Decode(raw[:n]); err == nil && bytes.Equal(tok.Encode(nil), raw) {
			t.Errorf("Decode of the first %d of %d bytes gives the whole record", n, len(raw))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(everything().Encode(nil))
	f.Add((&Token{}).Encode(nil))
	f.Add(usual(t0).Encode(nil))
	f.Add([]byte{codecVersion, tagGrant, 2, tagSpace, 0})
	f.Add([]byte{codecVersion, tagID, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		tok, err := Decode(raw)
		if err != nil {
			return
		}
		again, err := Decode(tok.Encode(nil))
		if err != nil || !reflect.DeepEqual(again, tok) {
			t.Errorf("Decode(Encode(%+v)) = %+v, %v", tok, again, err)
		}
		if _, err := json.Marshal(tok.View(t0)); err != nil {
			t.Error(err)
		}
	})
}

func FuzzDecodeOwner(f *testing.F) {
	f.Add((&Owner{ID: "alice", Enabled: true, Admin: true, Grants: []Grant{Full()}, CreatedAt: t0}).Encode(nil))
	f.Add([]byte{codecVersion, tagOwnerEnabled, 0})
	f.Add((&Owner{MaxTokens: 300}).Encode(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := DecodeOwner(raw)
		if err != nil {
			return
		}
		again, err := DecodeOwner(o.Encode(nil))
		if err != nil || !reflect.DeepEqual(again, o) {
			t.Errorf("DecodeOwner(Encode(%+v)) = %+v, %v", o, again, err)
		}
	})
}
