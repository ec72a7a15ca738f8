package registry

import (
	"net/netip"
	"slices"

	"github.com/patgate/patgate/token"
)

// parseRanges reads allowed_ips: addresses and address ranges. Host bits of a range and
// repetitions are dropped.
func parseRanges(list []string) ([]netip.Prefix, error) {
	var ranges []netip.Prefix
	for i, s := range list {
		p, ok := parseRange(s)
		if !ok {
			return nil, refuseField(ErrInvalid, "allowed_ips", "number %d is not an address or a range; want one like 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32", i+1)
		}
		if !slices.Contains(ranges, p) {
			ranges = append(ranges, p)
		}
		if len(ranges) > token.MaxAllowedIPs { // before the next is compared with all of them
			return nil, refuseField(ErrInvalid, "allowed_ips", "more than %d given, which is as many as are kept", token.MaxAllowedIPs)
		}
	}
	return ranges, nil
}

// CheckRange returns an error unless s is an address or a range of addresses.
func CheckRange(s string) error {
	_, err := parseRanges([]string{s})
	return err
}

func parseRange(s string) (p netip.Prefix, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		p, ok = netip.PrefixFrom(a.WithZone(""), a.BitLen()), a.Zone() == ""
	} else {
		p, err = netip.ParsePrefix(s)
		ok = err == nil
	}
	// A client's address has no zone, and an IPv4 address is never written as
	// an IPv6 one: such a range would match nobody.
	return p.Masked(), ok && !p.Addr().Is4In6()
}

// narrower reports whether ranges have no address that others don't have. An empty list
// has every address.
func narrower(ranges, others []netip.Prefix) bool {
	if len(others) == 0 {
		return true
	}
	return len(ranges) > 0 && !slices.ContainsFunc(ranges, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(others, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
	})
}

// addressText writes an address; "" for the zero one.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
