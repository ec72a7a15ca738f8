package token

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Stores keep records in one compact form: a version byte, then fields of a tag
// byte, a uvarint length, and that many bytes; absent fields are zero. A lookup
// that misses the cache decodes one record, so the form is small (about 150
// bytes) and is read in well under a microsecond. Unknown tags are refused
// rather than dropped: an older patgate must not serve a record with a restriction
// that it doesn't understand.

const codecVersion = 1

// Tags of a token's fields. A tag is never reused for another field.
const (
	tagID byte = iota + 1
	tagName
	tagDescription
	tagOwner
	tagHint
	tagGrant
	tagAllowedIP
	tagCreatedAt
	tagCreatedBy
	tagExpiresAt
	tagRevokedAt
	tagLastUsedAt
	tagLastUsedIP
	tagDigest
	tagRetired
	tagRegeneratedAt
)

// Tags of a grant's fields.
const (
	tagSpace byte = iota + 1
	tagScope
	tagResource
)

// Tags of an owner's fields.
const (
	tagOwnerID byte = iota + 1
	tagOwnerEnabled
	tagOwnerAdmin
	tagOwnerGrant
	tagOwnerCreatedAt
	tagOwnerUpdatedAt
	tagOwnerMayNotCreate // so that older records mean that the owner may
	tagOwnerMaxTokens
)

var errRecord = errors.New("record is damaged")

// Encode appends t's stored form to b.
func (t *Token) Encode(b []byte) []byte {
	b = append(b, codecVersion)
	b = putString(b, tagID, t.ID)
	b = putString(b, tagName, t.Name)
	b = putString(b, tagDescription, t.Description)
	b = putString(b, tagOwner, t.Owner)
	b = putString(b, tagHint, t.Hint)
	b = putGrants(b, tagGrant, t.Grants)
	for _, p := range t.AllowedIPs {
		raw, _ := p.MarshalBinary() // never fails for a valid prefix
		b = putField(b, tagAllowedIP, raw)
	}
	b = putTime(b, tagCreatedAt, t.CreatedAt)
	b = putString(b, tagCreatedBy, t.CreatedBy)
	b = putTime(b, tagRegeneratedAt, t.RegeneratedAt)
	b = putTime(b, tagExpiresAt, t.ExpiresAt)
	b = putTime(b, tagRevokedAt, t.RevokedAt)
	b = putTime(b, tagLastUsedAt, t.LastUsedAt)
	if t.LastUsedIP.IsValid() {
		raw, _ := t.LastUsedIP.MarshalBinary() // never fails
		b = putField(b, tagLastUsedIP, raw)
	}
	b = putField(b, tagDigest, t.Digest[:])
	for _, r := range t.Retired {
		b = putField(b, tagRetired, appendTime(r.Digest[:], r.Until))
	}
	return b
}

// Decode reads a token's stored form. The result shares nothing with b.
func Decode(b []byte) (*Token, error) { return DecodeString(string(b)) }

// DecodeString is Decode for a string. The texts of the result are pieces of it.
func DecodeString(record string) (*Token, error) {
	t := new(Token)
	err := readFields(record, func(tag byte, v string) (err error) {
		switch tag {
		case tagID:
			t.ID = v
		case tagName:
			t.Name = v
		case tagDescription:
			t.Description = v
		case tagOwner:
			t.Owner = v
		case tagHint:
			t.Hint = v
		case tagGrant:
			t.Grants, err = appendGrant(t.Grants, v)
		case tagAllowedIP:
			var p netip.Prefix
			if p.UnmarshalBinary([]byte(v)) != nil || !p.IsValid() {
				return errRecord
			}
			t.AllowedIPs = append(t.AllowedIPs, p)
		case tagCreatedAt:
			t.CreatedAt, err = readTime(v)
		case tagCreatedBy:
			t.CreatedBy = v
		case tagRegeneratedAt:
			t.RegeneratedAt, err = readTime(v)
		case tagExpiresAt:
			t.ExpiresAt, err = readTime(v)
		case tagRevokedAt:
			t.RevokedAt, err = readTime(v)
		case tagLastUsedAt:
			t.LastUsedAt, err = readTime(v)
		case tagLastUsedIP:
			if t.LastUsedIP.UnmarshalBinary([]byte(v)) != nil {
				return errRecord
			}
		case tagDigest:
			if len(v) != len(t.Digest) {
				return errRecord
			}
			copy(t.Digest[:], v)
		case tagRetired:
			if len(v) != len(Digest{})+timeSize {
				return errRecord
			}
			var r RetiredSecret
			r.Until, err = readTime(v[copy(r.Digest[:], v):])
			t.Retired = append(t.Retired, r)
		default:
			err = unknownField("record", tag)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading token record: %w", err)
	}
	return t, nil
}

// Encode appends o's stored form to b.
func (o *Owner) Encode(b []byte) []byte {
	b = append(b, codecVersion)
	b = putString(b, tagOwnerID, o.ID)
	b = putBool(b, tagOwnerEnabled, o.Enabled)
	b = putBool(b, tagOwnerAdmin, o.Admin)
	b = putBool(b, tagOwnerMayNotCreate, !o.MayCreate)
	if o.MaxTokens != 0 {
		b = putField(b, tagOwnerMaxTokens, binary.AppendUvarint(nil, uint64(o.MaxTokens)))
	}
	b = putGrants(b, tagOwnerGrant, o.Grants)
	b = putTime(b, tagOwnerCreatedAt, o.CreatedAt)
	return putTime(b, tagOwnerUpdatedAt, o.UpdatedAt)
}

// DecodeOwner reads an owner's stored form. The result shares nothing with b.
func DecodeOwner(b []byte) (*Owner, error) {
	o := &Owner{MayCreate: true}
	err := readFields(string(b), func(tag byte, v string) (err error) {
		switch tag {
		case tagOwnerID:
			o.ID = v
		case tagOwnerEnabled:
			o.Enabled = true
		case tagOwnerAdmin:
			o.Admin = true
		case tagOwnerMayNotCreate:
			o.MayCreate = false
		case tagOwnerMaxTokens:
			n, w := uvarint(v)
			if w <= 0 || w != len(v) || n > math.MaxInt {
				return errRecord
			}
			o.MaxTokens = int(n)
		case tagOwnerGrant:
			o.Grants, err = appendGrant(o.Grants, v)
		case tagOwnerCreatedAt:
			o.CreatedAt, err = readTime(v)
		case tagOwnerUpdatedAt:
			o.UpdatedAt, err = readTime(v)
		default:
			err = unknownField("record", tag)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading owner record: %w", err)
	}
	return o, nil
}

// putField appends a field, also an empty one.
func putField[T string | []byte](b []byte, tag byte, v T) []byte {
	b = append(b, tag)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func putString(b []byte, tag byte, s string) []byte {
	if s == "" {
		return b
	}
	return putField(b, tag, s)
}

func putBool(b []byte, tag byte, v bool) []byte {
	if !v {
		return b
	}
	return append(b, tag, 0)
}

func putTime(b []byte, tag byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendTime(append(b, tag, timeSize), t)
}

// A time is its Unix seconds, then the nanoseconds. Nanoseconds since 1970 alone
// would end in 2262, and an imported token may well expire in 9999.
const timeSize = 8 + 4

// The years 1 to 9999: JSON can't write later ones, and far out times are compared wrongly.
const (
	firstSecond = -62135596800
	endSecond   = 253402300800
)

func appendTime(b []byte, t time.Time) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.Unix()))
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

func putGrants(b []byte, tag byte, grants []Grant) []byte {
	for _, g := range grants {
		b = putField(b, tag, g.encode(nil))
	}
	return b
}

func (g Grant) encode(b []byte) []byte {
	for _, v := range g.Spaces {
		b = putField(b, tagSpace, v)
	}
	for _, v := range g.Scopes {
		b = putField(b, tagScope, v)
	}
	for _, v := range g.Resources {
		b = putField(b, tagResource, v)
	}
	return b
}

func appendGrant(grants []Grant, record string) ([]Grant, error) {
	var g Grant
	err := eachField(record, func(tag byte, v string) error {
		switch tag {
		case tagSpace:
			g.Spaces = append(g.Spaces, v)
		case tagScope:
			g.Scopes = append(g.Scopes, v)
		case tagResource:
			g.Resources = append(g.Resources, v)
		default:
			return unknownField("grant", tag)
		}
		return nil
	})
	return append(grants, g), err
}

func readTime(v string) (time.Time, error) {
	var b [timeSize]byte
	if len(v) != len(b) {
		return time.Time{}, errRecord
	}
	copy(b[:], v)
	sec, nsec := int64(binary.BigEndian.Uint64(b[:])), int64(binary.BigEndian.Uint32(b[8:]))
	if sec < firstSecond || sec >= endSecond || nsec >= int64(time.Second) {
		return time.Time{}, errRecord
	}
	return time.Unix(sec, nsec).UTC(), nil
}

func readFields(record string, field func(tag byte, v string) error) error {
	if len(record) == 0 {
		return errRecord
	}
	if record[0] != codecVersion {
		return fmt.Errorf("record has version %d, this patgate reads version %d", record[0], codecVersion)
	}
	return eachField(record[1:], field)
}

func eachField(s string, field func(tag byte, v string) error) error {
	for len(s) > 0 {
		tag := s[0]
		n, w := uvarint(s[1:])
		if w <= 0 || n > uint64(len(s)-1-w) {
			return errRecord
		}
		v := s[1+w : 1+w+int(n)]
		if err := field(tag, v); err != nil {
			return err
		}
		s = s[1+w+int(n):]
	}
	return nil
}

func unknownField(of string, tag byte) error {
	return fmt.Errorf("%s has field %d, which this version of patgate doesn't know", of, tag)
}

// uvarint is binary.Uvarint for a string.
func uvarint(s string) (n uint64, width int) {
	var b [binary.MaxVarintLen64]byte
	return binary.Uvarint(b[:copy(b[:], s)])
}
