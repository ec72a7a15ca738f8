package cache

import (
	"testing"

	"github.com/patgate/patgate/internal/mutation"
)

// Every piece that keeps a revoked token from being served is missed when it is
// gone. (What a reset does to owners is not among them: it drops all tokens and
// disowns all reads, so that nothing is left for a stale owner to harm.)
func TestMutants(t *testing.T) {
	t.Parallel()
	const orders = "^TestEveryOrderOfEvents$"
	mutation.Caught(t, []mutation.Mutant{
		{
			Name: "a change disowns the read under way", Run: orders, File: "shard.go",
			Old: "s.unknown.Remove(*d)\n\tif f := s.flights[*d]; f != nil {", New: "s.unknown.Remove(*d)\n\tif f := s.flights[*d]; f != nil && false {",
		},
		{
			Name: "a disowned read brings nothing", Run: orders, File: "shard.go",
			Old: "if s.flights[f.digest] != f {\n\t\treturn\n\t}", New: "if s.flights[f.digest] != f {\n\t\tif r.entry != nil {\n\t\t\ts.held.add(r.entry)\n\t\t}\n\t\treturn\n\t}",
		},
		{Name: "a change drops the token", Run: orders, File: "shard.go", Old: "s.held.remove(d)\n\ts.unknown.Remove(*d)\n", New: "s.unknown.Remove(*d)\n"},
		{Name: "what leaves the LRU leaves the table", Run: orders, File: "held.go", Old: "CompareAndSwap(e, nil)", New: "CompareAndSwap(nil, nil)"},
		{Name: "a change drops the unknown digest", Run: orders, File: "shard.go", Old: "s.held.remove(d)\n\ts.unknown.Remove(*d)\n", New: "s.held.remove(d)\n"},
		{Name: "a change of an owner is kept for reads under way", Run: orders, File: "owners.go", Old: "t.last.next = &ownerChange{name: name}", New: "t.last.next = &ownerChange{}"},
		{Name: "a read looks through the changes of owners", Run: orders, File: "owners.go", Old: "if c.all || c.name == name {", New: "if c.all {"},
		{Name: "a change of an owner marks it", Run: orders, File: "owners.go", Old: "o.mark()\n\t\t\to.position = max(", New: "o.position = max("},
		{Name: "an owner's mark is looked at", Run: orders, File: "cache.go", Old: " && !e.subject.Owner.Stale.Load()\n", New: "\n"},
		{Name: "an owner that changes before landing", Run: "^TestOwnerChangesJustBeforeLanding$", File: "shard.go", Old: "case r.outdated, r.entry != nil && r.entry.subject.Owner.Stale.Load():", New: "case r.outdated:"},

		{Name: "a reset drops the tokens", Run: "^TestReset$", File: "shard.go", Old: "s.held.lru.Purge()\n", New: ""},
		{Name: "a reset drops the unknown digests", Run: "^TestReset$", File: "shard.go", Old: "s.unknown.Purge()\n", New: ""},
		{Name: "a reset disowns the reads under way", Run: "^TestResetDisownsReads$", File: "shard.go", Old: "\t\ts.end(f, r)\n", New: "\t\t_ = f\n"},
		{Name: "positions begin anew with a reset", Run: "^TestPositionsBeginAnew$", File: "owners.go", Old: "o.mark()\n\t\to.position = 0", New: "o.mark()"},

		{Name: "silence ends trust in tokens", Run: "^TestNothingHeldIsTrusted", File: "cache.go", Old: "trusted: at-last < Silence", New: "trusted: true"},
		{Name: "a store that was never heard isn't trusted", Run: "^TestNothingHeldIsTrustedBefore", File: "cache.go", Old: "max(now.Sub(c.start), never)", New: "now.Sub(c.start)"},
		{Name: "times are taken off a clock that isn't set", Run: "^TestClockSetBack$", File: "cache.go", Old: "max(now.Sub(c.start), never)", New: "max(now.Round(0).Sub(c.start), never)"},
		{Name: "silence ends trust in unknown digests", Run: "^TestUnknownIsAskedAgain", File: "shard.go", Old: "ok && h.trusted && at-read < o.NegativeTTL", New: "ok && at-read < o.NegativeTTL"},
		{Name: "what isn't heard is served for max_stale", Run: "^TestNothingHeldIsTrusted", File: "shard.go", Old: "at-good >= o.MaxStale", New: "good < 0"},
		{Name: "max_stale counts from when the store was heard", Run: "^TestNothingHeldIsTrusted", File: "shard.go", Old: "good := max(e.read, h.last)", New: "good := e.read + o.TTL"},
		{Name: "max_stale counts from the oldest part", Run: "^TestStaleCountsFromTheOldestPart$", File: "subject.go", Old: "if !found.AsOf.IsZero() {", New: "if false {"},
	})
}
