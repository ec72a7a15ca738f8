package redis

import "github.com/redis/go-redis/v9"

// Scripts are sent in full each time: they are short, and so no server can lack one.
// All but those of begin, intend and Record may be sent twice: what was done the
// first time is not done again.

// luaPut defines put, which sets a key to a value; empty: none.
const luaPut = `
local function put(key, v)
  redis.call('SET', key, v)
  if v == '' then redis.call('DEL', key) end
end
`

// scriptSwap replaces a value. Another one that is there is written again, so that there
// is something for WAIT to wait for.
//
//	KEYS  the key
//	ARGV  the value expected, the value to set; empty: none
const scriptSwap = luaPut + `
local v = redis.call('GET', KEYS[1]) or ''
put(KEYS[1], v == ARGV[1] and ARGV[2] or v)
return 1`

// luaIntent defines intent, which returns the values before and after where a value is an
// intent of a change: see intentValue.
const luaIntent = `
local function intent(v, mark)
  if not v or string.sub(v, 1, 9) ~= 'I' .. mark then return nil end
  local n, unit, i = 0, 1, 10
  repeat
    local b = string.byte(v, i) or 0
    n, unit, i = n + b % 128 * unit, unit * 128, i + 1
  until b < 128
  if n > #v - i + 1 then return nil end
  return string.sub(v, i, i + n - 1), string.sub(v, i + n)
end
`

// luaState defines state, which returns the state of a change and its entry in changes,
// both empty where there is none: see scriptBegin.
const luaState = `
local function state(changes, mark)
  local entry = redis.call('HGET', changes, mark) or ''
  return string.sub(entry, 1, 1), entry
end
`

// scriptEnd has keys of a change hold what they hold now that it has ended, on one
// server, if it is in the state that the caller has found.
//
//	KEYS  changes, the keys
//	ARGV  mark, state: a, c, or nothing if there is no such change; 1: these are
//	      all keys of the change, and it is forgotten
const scriptEnd = luaPut + luaIntent + luaState + `
if state(KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
for i = 2, #KEYS do
  local before, after = intent(redis.call('GET', KEYS[i]), ARGV[1])
  if before then put(KEYS[i], ARGV[2] == 'c' and after or before) end
end
if ARGV[3] == '1' then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1`

// scriptIntend writes an intent, if its change is still pending. In a Cluster
// that can't be told: the changes are on another server.
//
//	KEYS  the key; changes, where they are on the same server
//	ARGV  mark, the value expected, the intent
//
// It returns 1, or 0 when it was not written.
const scriptIntend = luaState + `
if KEYS[2] and state(KEYS[2], ARGV[1]) ~= 'p' then return 0 end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
return 1`

// luaWrites defines write, which queues a write, and make, which makes those queued, in
// order, or none if the user may not make one of them. Redis keeps what a script has
// written before it is refused a write, and gateways would hear of a change that isn't
// made. (Claims, and values that are replaced by an empty one, are written at once: a
// claim expires, and an empty value counts as none, so that nothing harmful is left if
// a later write is refused.)
const luaWrites = `
local writes = {}
local function write(...) writes[#writes + 1] = {...} end
local function make()
  for _, w in ipairs(writes) do
    if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(w)) then
      error({err = 'NOPERM the redis user may not run ' .. w[1] .. ' on ' .. w[2]})
    end
  end
  for _, w in ipairs(writes) do redis.call(unpack(w)) end
end
`

// luaEnd defines last, which returns the number of a stream's last entry, or 0. It is
// used if the head, which counts entries, has been lost.
const luaEnd = `
local function last(stream)
  local entry = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return entry and tonumber(string.match(entry[1], '^%d+')) or 0
end
`

// luaAppend defines append, which queues an entry of the feed after position n and
// returns its position.
const luaAppend = luaEnd + `
local function append(head, feed, n, mark, payload, keep)
  local id = string.format('%.0f', n + 1)
  local previous = redis.call('HGET', head, 'mark') or ''
  write('XADD', feed, 'MAXLEN', '~', keep, id .. '-0', 'mark', mark, 'after', previous, 'what', payload)
  write('HSET', head, 'n', id, 'mark', mark)
  return n + 1
end
`

// luaListed defines listed, which returns the entry that a token has in the index of
// ids, or nil.
const luaListed = `
local function listed(ids, id)
  return redis.call('ZRANGEBYLEX', ids, '[' .. id .. '\0', '(' .. id .. '\1', 'LIMIT', 0, 1)[1]
end
`

// luaNow defines now, which returns the server's time in milliseconds.
const luaNow = `
local function now()
  local t = redis.call('TIME')
  return string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
end
`

// scriptBegin enters a change as pending. The entry holds, separated by blanks, the
// state (p: pending, a: aborted, c: committed), the position if it is committed, or 0,
// the time, and the digests of the keys it touches. A claim says which change may make
// the token with an id: the one that was announced last. Without claims, a change that
// is committed late could follow another that made the token and one that deleted it:
// they have no key in common.
//
//	KEYS  changes, claims
//	ARGV  mark, digests
const scriptBegin = luaNow + `
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[1], 'EX', 60) end
redis.call('HSET', KEYS[1], ARGV[1], 'p 0 ' .. now() .. ' ' .. ARGV[2])
return 1`

// scriptState returns the state and age, in milliseconds, of a change; the
// state is empty where there is none.
//
//	KEYS  changes
//	ARGV  mark
const scriptState = luaNow + luaState + `
local is, entry = state(KEYS[1], ARGV[1])
if is == '' then return {'', 0} end
return {is, math.floor(tonumber(now()) - tonumber(string.match(entry, '^%a %d+ (%d+) ')))}`

// scriptAbort keeps a pending change from being committed, and returns its
// state then: a, c, or nothing where there is no such change. It writes the entry in any
// case, so that there is something for WAIT to wait for.
//
//	KEYS  changes
//	ARGV  mark
const scriptAbort = luaState + `
local is, entry = state(KEYS[1], ARGV[1])
if is == 'p' then is = 'a' end
if is ~= '' then redis.call('HSET', KEYS[1], ARGV[1], is .. string.sub(entry, 2)) end
return is`

// luaPending ends a script here unless the change KEYS[3], ARGV[1] is pending: the script
// returns the position of one that is committed, or 0. It defines commit, which makes the
// queued writes, records the change's events, appends it to the feed last, and returns
// its position.
const luaPending = luaWrites + luaAppend + luaRecord + `
local entry = redis.call('HGET', KEYS[3], ARGV[1])
if not entry then return 0 end
local state, position, rest = string.match(entry, '^(%a) (%d+)(.*)$')
if state == 'c' then
  redis.call('HSET', KEYS[3], ARGV[1], entry) -- for WAIT
  return tonumber(position)
end
if state ~= 'p' then return 0 end
local function commit()
  record(KEYS[1])
  local n = append(KEYS[1], KEYS[2], tonumber(redis.call('HGET', KEYS[1], 'n') or last(KEYS[2])), ARGV[1], ARGV[2], ARGV[3])
  write('HSET', KEYS[3], ARGV[1], 'c ' .. string.format('%.0f', n) .. rest)
  make()
  return n
end
`

// scriptCommit commits a pending change of tokens.
//
//	KEYS  head, feed, changes, ids, claims, indexes that change, and keys that must
//	      be intents of it; events, their index
//	ARGV  mark, entry of the feed, length of the feed,
//	      number of ids that must not be taken, these ids in the order of the
//	      claims,
//	      then triples: A (add), R (remove) or U (remove from the uses), the
//	      number of an index in KEYS, and its member, or I (intent), the number of
//	      a key, and nothing; then events, as luaRecord has them
//
// It returns the position; 0 when the change was aborted, an intent is gone, or a
// change that was announced later claims an id; or the id that is taken.
const scriptCommit = luaListed + luaIntent + luaPending + `
local free = tonumber(ARGV[4])
for i = 5, 4 + free do
  local id = ARGV[i]
  if redis.call('GET', KEYS[i]) ~= ARGV[1] then return 0 end
  if listed(KEYS[4], id) then return id end
end
for i = 5, 4 + free do write('DEL', KEYS[i]) end
for i = 5 + free, own, 3 do
  local key = KEYS[tonumber(ARGV[i + 1])]
  if ARGV[i] == 'A' then write('ZADD', key, 0, ARGV[i + 2])
  elseif ARGV[i] == 'R' then write('ZREM', key, ARGV[i + 2])
  elseif ARGV[i] == 'U' then write('HDEL', key, ARGV[i + 2])
  elseif not intent(redis.call('GET', key), ARGV[1]) then return 0 end
end
return commit()`

// scriptOwner commits a pending change of an owner's record.
//
//	KEYS  head, feed, changes, owners, the owner's key; events, their index
//	ARGV  mark, entry of the feed, length of the feed, the owner's name, the
//	      value expected, the value to set, and for how many seconds: 0, a
//	      record, for good; then events, as luaRecord has them
//
// It returns the position, or 0 when the change was aborted or there is another
// value.
const scriptOwner = luaPending + `
if (redis.call('GET', KEYS[5]) or '') ~= ARGV[5] then return 0 end
if ARGV[7] == '0' then
  write('SET', KEYS[5], ARGV[6])
  write('ZADD', KEYS[4], 0, ARGV[4])
else
  write('SET', KEYS[5], ARGV[6], 'EX', ARGV[7])
  write('ZREM', KEYS[4], ARGV[4])
end
return commit()`

// scriptRaise lets the feed go on after a position that a gateway has seen and the feed
// has lost. The jump tells all other gateways that something was lost.
//
//	KEYS  head, feed
//	ARGV  the mark of the entry to append, the position seen, its mark or
//	      nothing where that isn't known, length of the feed
//
// It returns the position and mark of the last entry, and the position of the one that
// was the last before.
const scriptRaise = luaWrites + luaAppend + `
local stored = redis.call('HGET', KEYS[1], 'n')
local n = tonumber(stored or last(KEYS[2]))
local mark = redis.call('HGET', KEYS[1], 'mark')
local seen = tonumber(ARGV[2])
if not stored and n > 0 or n < seen or n == seen and ARGV[3] ~= '' and mark ~= ARGV[3] then
  append(KEYS[1], KEYS[2], math.max(n, seen), ARGV[1], '', ARGV[4])
  make()
end
local head = redis.call('HMGET', KEYS[1], 'n', 'mark')
return {head[1], head[2], n}`

// scriptWhere returns, for each id, the entry it has in the index; empty: none.
//
//	KEYS  ids
//	ARGV  ids
const scriptWhere = luaListed + `
local found = {}
for i, id in ipairs(ARGV) do found[i] = listed(KEYS[1], id) or '' end
return found`

// scriptBeat notes how far a gateway follows, when it said so, for how many
// milliseconds it may use what it holds without hearing of changes, and the mark of
// the change that it follows to, in hexadecimal.
//
//	KEYS  gateways, head
//	ARGV  name, position, milliseconds, mark
//
// It returns the position and mark of the last entry of the feed.
const scriptBeat = luaNow + `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. now() .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
return redis.call('HMGET', KEYS[2], 'n', 'mark')`

// feedLength is how many entries the feed keeps, about. A gateway that comes
// back after more changes reads everything again.
const feedLength = 10_000

// eval returns the command that runs a script.
func eval(script string, keys []string, args ...any) *redis.Cmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, "eval", script, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	return redis.NewCmd(noContext, append(all, args...)...)
}
