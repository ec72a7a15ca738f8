package redis

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// scriptUses notes uses of tokens that are there, where no later one is noted; none is
// later than now, and a damaged one is none. It knows tokens by their ids in the index.
//
//	KEYS  uses, ids
//	ARGV  triples: id, milliseconds, address
const scriptUses = luaListed + luaNow + `
local present = tonumber(now())
for i = 1, #ARGV, 3 do
  local id, last = ARGV[i], redis.call('HGET', KEYS[1], ARGV[i])
  last = tonumber(string.match(last or '', '^%d+') or '')
  local at = math.min(tonumber(ARGV[i + 1]), present)
  if (not last or last < at or last > present) and listed(KEYS[2], id) then
    redis.call('HSET', KEYS[1], id, string.format('%.0f', at) .. ' ' .. ARGV[i + 2])
  end
end
return 1`

// NoteUses implements store.Uses.
func (s *Store) NoteUses(ctx context.Context, uses ...store.Use) error {
	for some := range slices.Chunk(uses, step) {
		args := make([]any, 0, 3*len(some))
		for _, u := range some {
			from := ""
			if u.From.IsValid() {
				from = u.From.String()
			}
			args = append(args, u.ID, u.At.UnixMilli(), from)
		}
		cmd := eval(scriptUses, []string{s.keys.uses, s.keys.ids}, args...)
		if err := s.send(ctx, cmd); err != nil {
			return s.changing("noting uses of tokens", err)
		}
	}
	return nil
}

// withUses puts the last uses of tokens into them.
func (s *Store) withUses(ctx context.Context, tokens ...*token.Token) error {
	for some := range slices.Chunk(tokens, step) {
		args := []any{"hmget", s.keys.uses}
		for _, t := range some {
			args = append(args, t.ID)
		}
		cmd := redis.NewSliceCmd(noContext, args...)
		if err := s.send(ctx, cmd); err != nil {
			return err
		}
		for i, v := range cmd.Val() {
			if text, ok := v.(string); ok {
				if u, err := parseUse(text); err == nil { // a damaged one is none: Check says so
					u.Apply(some[i])
				}
			}
		}
	}
	return nil
}

// parseUse reads a value of the uses: milliseconds, a blank, the address if it is
// known.
func parseUse(text string) (u store.Use, err error) {
	at, from, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err == nil && from != "" {
		u.From, err = netip.ParseAddr(from)
	}
	var ok bool
	if u.At, ok = store.UseTime(ms); err != nil || !ok {
		return u, errValue
	}
	return u, nil
}
