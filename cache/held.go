package cache

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// heldTokens are the tokens of a shard: an LRU, and in front of it a table of pointers
// to its entries, by bits of the digest, which is read without the shard's lock. An
// entry that leaves the LRU leaves the table under that lock, so that the table has
// no entry that the LRU hasn't. An entry found in the table is marked as used, and
// has a second chance when the LRU would evict it.
type heldTokens struct {
	lru   *simplelru.LRU[uint64, *entry]
	table atomic.Pointer[[]atomic.Pointer[entry]] // a power of two of them
}

// entry is a held token. Only used changes. An entry fills 144 bytes, which is a size
// class of the allocator.
type entry struct {
	digest  token.Digest
	read    time.Duration // when its read began, or store.Found.AsOf if that is earlier
	used    atomic.Bool   // found in the table since it was moved to the LRU's front
	subject policy.Subject
}

func (h *heldTokens) init(size int) {
	h.lru = newLRU(size, func(_ uint64, e *entry) { h.place(&e.digest).CompareAndSwap(e, nil) })
	h.makeTable(size)
}

// makeTable makes an empty table, which get fills.
func (h *heldTokens) makeTable(size int) {
	table := make([]atomic.Pointer[entry], 1<<bits.Len(uint(size+size/2)))
	h.table.Store(&table)
}

// resize makes room for size tokens, and returns how many were evicted.
func (h *heldTokens) resize(size int) (evicted int) {
	evicted = h.lru.Resize(size)
	h.makeTable(size)
	return evicted
}

// place returns the entry's place in the table. It uses other bits of the digest than the
// choice of the shard.
func (h *heldTokens) place(d *token.Digest) *atomic.Pointer[entry] {
	table := *h.table.Load()
	return &table[int(binary.LittleEndian.Uint32(d[8:]))&(len(table)-1)]
}

// key is the key of the LRU. A token with the same key and another digest takes the
// place of the one before, which only costs a read.
func key(d *token.Digest) uint64 { return binary.LittleEndian.Uint64(d[16:]) }

// glance returns the entry with digest d if it is in the table. It needs no
// lock.
func (h *heldTokens) glance(d *token.Digest) *entry {
	e := h.place(d).Load()
	if e == nil || e.digest != *d {
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e
}

// get returns the entry with digest d, or nil, and puts it into the table.
func (h *heldTokens) get(d *token.Digest) *entry {
	e, ok := h.lru.Get(key(d))
	if !ok || e.digest != *d {
		return nil
	}
	h.place(d).Store(e)
	return e
}

// peek returns the entry with digest d, or nil.
func (h *heldTokens) peek(d *token.Digest) *entry {
	if e, ok := h.lru.Peek(key(d)); ok && e.digest == *d {
		return e
	}
	return nil
}

// secondChances bounds how many entries an add may move to the LRU's front.
const secondChances = 8

// add replaces what was held under e's digest with e, and reports whether another
// token was evicted.
func (h *heldTokens) add(e *entry) (evicted bool) {
	k := key(&e.digest)
	h.lru.Remove(k)
	for range secondChances {
		oldest, o, ok := h.lru.GetOldest()
		if !ok || !o.used.Swap(false) {
			break
		}
		h.lru.Get(oldest)
	}
	evicted = h.lru.Add(k, e)
	h.place(&e.digest).Store(e)
	return evicted
}

func (h *heldTokens) remove(d *token.Digest) { h.lru.Remove(key(d)) }

func newLRU[K comparable, V any](size int, onEvict func(K, V)) *simplelru.LRU[K, V] {
	lru, err := simplelru.NewLRU(size, onEvict)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return lru
}
