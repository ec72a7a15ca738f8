package redis

import (
	"testing"

	"github.com/patgate/patgate/internal/mutation"
)

// Every piece that keeps a gateway from missing a change, or from believing a
// server that has lost one, is missed when it is gone.
func TestMutants(t *testing.T) {
	t.Parallel()
	const losing = "^TestServerLosesChanges$"
	mutation.Caught(t, []mutation.Mutant{
		{Name: "lookups heed the floor", Run: losing, File: "find.go", Old: "floor.allows(r.raw != \"\", r.version)", New: "floor.allows(true, 1<<63)"},
		{Name: "changes heed the floor", Run: losing, File: "change.go", Old: "r.lost = !floor.allows(r.raw != \"\", r.version)", New: "r.lost = !floor.allows(true, 1<<63)"},
		{Name: "owners heed the floor", Run: losing, File: "owners.go", Old: "least.allowsOwner(there, r.raw != \"\", r.version)", New: "least.allowsOwner(true, r.raw != \"\", 1<<63)"},
		{Name: "the feed raises the floor of a token", Run: losing, File: "feed.go", Old: "s.floors.raise(tokenFloor(t.digest), to)", New: ""},
		{Name: "the feed raises the floor of an owner", Run: losing, File: "feed.go", Old: "s.floors.raise(ownerFloor(t.owner), to)", New: ""},
		{Name: "floors only rise", Run: "^TestFloors$", File: "floors.go", Old: "if to.version >= old.version {", New: "if to.version >= old.version || true {"},

		{Name: "the feed's end is looked at", Run: "^TestFeedReset$/^another_history_of_the_same_length$", File: "feed.go", Old: "head.n == at.n && head.mark != at.mark || ", New: ""},
		{Name: "entries that are gone are missed", Run: "^TestFeedReset$/^stream_is_gone$", File: "feed.go", Old: " || head.n > at.n && len(entries) == 0 {", New: " {"},
		{Name: "entries follow one another", Run: "^TestFeedReset$/^trimmed$", File: "feed.go", Old: "if e.n != at.n+1 || e.after != at.mark {", New: "if e.after != at.mark && e.n == at.n+1 {"},
		{Name: "entries are of one history", Run: "^TestFeedReset$/^an_entry_of_another_history$", File: "feed.go", Old: "if e.n != at.n+1 || e.after != at.mark {", New: "if e.n != at.n+1 {"},

		{Name: "an intent that comes late is refused", Run: "^TestLateIntents$/^single$", File: "scripts.go", Old: "if KEYS[2] and ", New: "if false and "},
		{Name: "a Cluster looks for late intents", Run: "^TestLateIntents$/^cluster$", File: "steps.go", Old: "case late && s.cluster != nil:", New: "case false:"},
		{Name: "the last to announce a token makes it", Run: "^TestLateCreation$", File: "scripts.go", Old: "if redis.call('GET', KEYS[i]) ~= ARGV[1] then return 0 end", New: ""},
		{Name: "a deleted owner leaves a version", Run: "^TestOwnerStepTwice$", File: "value.go", Old: "v := binary.AppendUvarint(nil, version)\n\tif o != nil {", New: "var v []byte\n\tif o != nil {\n\t\tv = binary.AppendUvarint(nil, version)"},

		{Name: "the commit asks for the intents", Run: "^TestFailOverBetweenSteps$/^begin,_intend$", File: "scripts.go", Old: "elseif not intent(redis.call('GET', key), ARGV[1]) then return 0 end", New: "end"},
		{Name: "the last step asks for the commit", Run: "^TestFailOverBetweenSteps$/^intend,_commit$", File: "scripts.go", Old: "~= ARGV[2] then return 0 end\nfor", New: "== 'x' then return 0 end\nfor"},
		{Name: "the last step is one", Run: "^TestFailOverBetweenSteps$/^commit,_end$", File: "steps.go", Old: "return s.send(ctx, s.ending(mark, state, true, writes...))", New: "if err := s.send(ctx, s.ending(mark, state, false, writes...)); err != nil {\n\t\t\treturn err\n\t\t}\n\t\treturn s.forget(ctx, mark)"},
		{Name: "who settles asks for the commit", Run: "^TestFailOverWhileSettling$", File: "change.go", Old: "if w := (write{d, before, after}); s.cluster == nil {", New: "if w := (write{d, before, after}); false {"},
		{Name: "a Cluster confirms an abort", Run: "^TestUnconfirmedIsNotEnded$", File: "steps.go", Old: "s.sendWith(ctx, s.between(), cmd)", New: "s.send(ctx, cmd)"},
		{Name: "a Cluster ends what is confirmed", Run: "^TestUnconfirmedIsNotEnded$", File: "steps.go", Old: "if err == nil || s.cluster == nil {", New: "if true {"},
		{Name: "who settles confirms how it ended", Run: "^TestUnconfirmedIsNotEnded$", File: "change.go", Old: "if err == nil && state != \"\" {", New: "if err == nil && state == pending {"},
		{Name: "the last step writes", Run: "^TestLastStepWrites$", File: "scripts.go", Old: "put(KEYS[1], v == ARGV[1] and ARGV[2] or v)", New: "if v == ARGV[1] then put(KEYS[1], ARGV[2]) end"},

		{Name: "what a fork has deleted is gone", Run: "^TestDeletedInAFork$", File: "feed.go", Old: "\ts.raiseFloors(what, false)\n\tif gap {", New: "\tif gap {"},
		{Name: "what was deleted in a gap may be gone", Run: "^TestDeletedInAGap$", File: "feed.go", Old: "gap, done = gap || mark != \"\" && !s.passed.knows(mark), true", New: "done = true"},
		{Name: "what the feed has passed over may be gone", Run: "^TestDeletedBeforeTheAnswer$", File: "feed.go", Old: "to.doubted = passedOver\n", New: ""},
		{Name: "an owner that was gone stays gone", Run: "^TestDeletedOwnerStaysSo$", File: "owners.go", Old: "if err == nil && !there && r.raw != \"\" && !r.lost && least.version > 0 {", New: "if false {"},
		{Name: "without beats nothing is held for long", Run: "^TestWithoutBeatsIsAsOldAsTheFeed$", File: "find.go", Old: "|| time.Since(*beaten) > beatLimit", New: ""},

		{Name: "what was made again isn't missing", Run: "^TestRemadeIsNotMissing$", File: "missing.go", Old: "now.version == floors[i].version && ", New: ""},
		{Name: "what was deleted isn't missing", Run: "^TestDeletedIsNotMissing$", File: "missing.go", Old: " && !now.gone {", New: " {"},

		{Name: "what was changed and changed back isn't unlisted", Run: "^TestChangedAndBackIsNotUnlisted$", File: "unlisted.go", Old: "now.raw != r.raw", New: "now.token.Digest != r.token.Digest || now.token.Owner != r.token.Owner"},

		{Name: "who made a change knows of it first", Run: "^TestOwnChangeWithoutFeed$", File: "steps.go", Old: "\ts.await(position, c.mark, c.what)\n", New: "\t_ = position\n"},
		{Name: "a change drops the owner's record", Run: "^TestOwnersInMemory$", File: "watch.go", Old: "s.owners.drop(t.owner)", New: ""},
		{Name: "a reset drops all owners' records", Run: "^TestOwnersInMemory$", File: "watch.go", Old: "s.owners.dropAll(s.heardLately())", New: ""},
		{Name: "a record read before a change isn't kept", Run: "^TestOwnersDontOverlap$", File: "ownercache.go", Old: "if o.changes != changes {", New: "if false {"},
		{Name: "a record is as old as the feed", Run: "^TestFoundInMemoryIsAsOldAsTheFeed$", File: "ownercache.go", Old: "f.Owner, f.AsOf = o, heard", New: "f.Owner = o"},
		{Name: "a master that takes no beats isn't heard", Run: "^TestHeardNeedsBeats$", File: "heard.go", Old: "heard.Sub(*beaten) > beatLimit:", New: "heard.Sub(*beaten) > 1000*beatLimit:"},
	})
}
