package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// take returns what the read f has found, in the form in which it is held.
func (c *Cache) take(f *flight, found *store.Found) result {
	t := found.Token
	p, ok := c.owners.take(t.Owner, found.Owner, found.Position, f.since)
	if !ok {
		return result{outdated: true}
	}
	grants := c.grants.get(grantsKey(t.Grants), func() *policy.Grants { return policy.NewGrants(t.Grants) })
	s := policy.NewSubject(t, p, grants)
	if s.Allowed != nil {
		s.Allowed = c.allowed.get(prefixesKey(t.AllowedIPs), func() *[]netip.Prefix { return new(slices.Clone(t.AllowedIPs)) })
	}
	if !found.Current {
		s.SetRetired(found.Until)
	}
	read := f.at
	if !found.AsOf.IsZero() {
		read = min(read, c.since(found.AsOf))
	}
	return result{entry: &entry{digest: f.digest, subject: s, read: read}}
}

// grantsKey returns the key of grants: those that are written alike have the same.
func grantsKey(grants []token.Grant) internKey {
	b := make([]byte, 0, 512)
	for _, g := range grants {
		for _, list := range [][]string{g.Spaces, g.Scopes, g.Resources} {
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, v := range list {
				b = binary.AppendUvarint(b, uint64(len(v)))
				b = append(b, v...)
			}
		}
	}
	return sha256.Sum256(b)
}

// prefixesKey returns the key of address ranges: those that are written alike have the same.
func prefixesKey(prefixes []netip.Prefix) internKey {
	b := make([]byte, 0, 512)
	for _, p := range prefixes {
		b = append(p.AppendTo(b), ' ')
	}
	return sha256.Sum256(b)
}
