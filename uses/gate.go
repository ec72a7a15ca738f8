package uses

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/token"
)

// Gate lets something through once for each secret in a time, without a lock and
// without allocating. It is a table of fixed size: where more secrets meet in a
// row of it than it has room for, the one that passed longest ago is forgotten and
// may pass again before its time.
type Gate struct {
	rows  []row // a power of two of them
	start time.Time
}

// row fills a cache line. A slot is 0, or holds 32 bits of a digest and below them
// in which second it passed last, counted from 1.
type row [8]atomic.Uint64

const secondBits = 32

// NewGate returns a gate with room for about so many secrets: 8 bytes each.
func NewGate(room int) *Gate {
	n := 1
	for n*len(row{}) < room {
		n *= 2
	}
	return &Gate{rows: make([]row, n), start: time.Now()}
}

// Pass reports whether the secret with digest d, now, hasn't passed for so long,
// and notes that it passes. Of several calls at the same moment, one gets true.
func (g *Gate) Pass(d *token.Digest, now time.Time, every time.Duration) bool {
	r := &g.rows[int(binary.LittleEndian.Uint32(d[:]))&(len(g.rows)-1)]
	tag := uint64(binary.LittleEndian.Uint32(d[4:])) << secondBits
	second := uint64(max(now.Sub(g.start), 0)/time.Second) + 1
	const seconds = 1<<secondBits - 1
	oldest, was := &r[0], ^uint64(0)
	for i := range r {
		v := r[i].Load()
		at := v & seconds
		if at != 0 && v&^seconds == tag {
			if second < at+uint64(every/time.Second) {
				return false
			}
			return r[i].CompareAndSwap(v, tag|second)
		}
		if at < was&seconds {
			oldest, was = &r[i], v
		}
	}
	return oldest.CompareAndSwap(was, tag|second)
}
