package redis

import (
	"encoding/binary"
	"errors"

	"github.com/patgate/patgate/token"
)

// The value of a token key is one of these, by its first byte:
//
//	L  version, token.Token.Encode     a token, found by its current secret
//	P  version, digest                 a retired secret, and the current one
//	I  mark, length of before,         an intent of the change with this mark;
//	   before, after                   before and after are L, P or empty: none
//
// Versions and lengths are uvarints, a mark has 8 bytes. A version is greater
// than all that this digest had before: the time in microseconds, or one more
// than the last.
const (
	kindLive    = 'L'
	kindPointer = 'P'
	kindIntent  = 'I'
)

const markSize = 8

var errValue = errors.New("its record in redis is damaged, or was written by a later version of patgate")

func liveValue(version uint64, t *token.Token) string {
	b := make([]byte, 0, 256)
	b = binary.AppendUvarint(append(b, kindLive), version)
	return string(t.Encode(b))
}

func pointerValue(version uint64, to token.Digest) string {
	b := binary.AppendUvarint([]byte{kindPointer}, version)
	return string(append(b, to[:]...))
}

func intentValue(mark, before, after string) string {
	b := make([]byte, 0, 1+markSize+4+len(before)+len(after))
	b = append(append(b, kindIntent), mark...)
	b = binary.AppendUvarint(b, uint64(len(before)))
	return string(append(append(b, before...), after...))
}

// isIntent reports whether a value is an intent.
func isIntent(v string) bool { return v != "" && v[0] == kindIntent }

// splitIntent reads an intent; ok is false for every other value, and for a damaged
// one, which is no record either.
func splitIntent(v string) (mark, before, after string, ok bool) {
	if !isIntent(v) || len(v) < 1+markSize {
		return "", "", "", false
	}
	rest := v[1+markSize:]
	n, w := uvarint(rest)
	if w <= 0 || n > uint64(len(rest)-w) {
		return "", "", "", false
	}
	rest = rest[w:]
	return v[1 : 1+markSize], rest[:n], rest[n:], true
}

// record is what a token key holds when no change is under way.
type record struct {
	raw     string // as it is stored; "": nothing
	version uint64
	token   *token.Token // of a live record
	target  token.Digest // of a pointer
	lost    bool         // it is older than it should be; set by settle only
}

func (r *record) live() bool    { return r.token != nil }
func (r *record) pointer() bool { return r.raw != "" && r.token == nil }

func parseRecord(v string) (record, error) {
	if v == "" {
		return record{}, nil
	}
	version, w := uvarint(v[1:])
	if w <= 0 {
		return record{}, errValue
	}
	r := record{raw: v, version: version}
	switch rest := v[1+w:]; v[0] {
	case kindLive:
		t, err := token.DecodeString(rest)
		if err != nil {
			return record{}, errValue
		}
		r.token = t
	case kindPointer:
		if len(rest) != len(r.target) {
			return record{}, errValue
		}
		r.target = token.Digest([]byte(rest))
	default:
		return record{}, errValue
	}
	return r, nil
}

// The value of an owner's key is a version and token.Owner.Encode. Once the record is
// deleted, it is the version alone, for a day, so that a change that was planned when
// there was no record doesn't find the same state again after a deletion.

// ownerValue returns the value for a record; nil: deleted.
func ownerValue(version uint64, o *token.Owner) string {
	v := binary.AppendUvarint(nil, version)
	if o != nil {
		v = o.Encode(v)
	}
	return string(v)
}

// parseOwner reads an owner's value; for none the owner is nil.
func parseOwner(v string) (*token.Owner, uint64, error) {
	if v == "" {
		return nil, 0, nil
	}
	version, w := uvarint(v)
	if w <= 0 {
		return nil, 0, errValue
	}
	if w == len(v) {
		return nil, version, nil
	}
	o, err := token.DecodeOwner([]byte(v[w:]))
	if err != nil {
		return nil, 0, err
	}
	return o, version, nil
}

// touched is what an entry of the feed says of one record.
type touched struct {
	digest  token.Digest
	owner   string // where it is an owner's record
	isOwner bool
	version uint64 // older ones are not to be believed
	gone    bool   // the record was deleted; else its absence isn't to be believed either
}

// An entry of the feed is a list of: "D" and the digest, or "O", the length of
// the owner's name, and the name; then the version, doubled, plus one where the
// record is gone.

func appendTouched(b []byte, t touched) []byte {
	if t.isOwner {
		b = binary.AppendUvarint(append(b, 'O'), uint64(len(t.owner)))
		b = append(b, t.owner...)
	} else {
		b = append(append(b, 'D'), t.digest[:]...)
	}
	v := t.version << 1
	if t.gone {
		v |= 1
	}
	return binary.AppendUvarint(b, v)
}

var errEntry = errors.New("an entry of the feed is damaged, or was written by a later version of patgate")

func parseTouched(s string) (all []touched, err error) {
	for s != "" {
		var t touched
		switch kind := s[0]; {
		case kind == 'D' && len(s) > len(t.digest):
			t.digest = token.Digest([]byte(s[1 : 1+len(t.digest)]))
			s = s[1+len(t.digest):]
		case kind == 'O':
			n, w := uvarint(s[1:])
			if w <= 0 || n > uint64(len(s)-1-w) {
				return nil, errEntry
			}
			t.isOwner, t.owner = true, s[1+w:1+w+int(n)]
			s = s[1+w+int(n):]
		default:
			return nil, errEntry
		}
		v, w := uvarint(s)
		if w <= 0 {
			return nil, errEntry
		}
		t.version, t.gone = v>>1, v&1 == 1
		s = s[w:]
		all = append(all, t)
	}
	return all, nil
}

// uvarint is binary.Uvarint for a string.
func uvarint(s string) (n uint64, width int) {
	var b [binary.MaxVarintLen64]byte
	return binary.Uvarint(b[:copy(b[:], s)])
}
