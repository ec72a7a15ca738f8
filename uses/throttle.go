package uses

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/token"
)

// Throttle lets something happen once per secret and interval, without a lock and
// without allocating. It is a table of fixed size: if a row is full, the secret that was
// allowed longest ago is forgotten, and may be allowed again too early.
type Throttle struct {
	rows  []row // a power of two of them
	start time.Time
}

// row fills a cache line. A slot is 0, or holds 32 bits of a digest and, in the lower half,
// the second in which it was allowed last, counted from 1.
type row [8]atomic.Uint64

const secondBits = 32

// NewThrottle returns a Throttle with room for about room secrets, at 8 bytes each.
func NewThrottle(room int) *Throttle {
	n := 1
	for n*len(row{}) < room {
		n *= 2
	}
	return &Throttle{rows: make([]row, n), start: time.Now()}
}

// Allow reports whether the secret with digest d was not allowed in the interval before
// now, and notes that it is allowed now. Of several calls at the same moment one gets
// true, or, if they are the first for d, perhaps a few.
func (t *Throttle) Allow(d *token.Digest, now time.Time, interval time.Duration) bool {
	r := &t.rows[int(binary.LittleEndian.Uint32(d[:]))&(len(t.rows)-1)]
	tag := uint64(binary.LittleEndian.Uint32(d[4:])) << secondBits
	second := uint64(max(now.Sub(t.start), 0)/time.Second) + 1
	const seconds = 1<<secondBits - 1
	oldest, was := &r[0], ^uint64(0)
	for i := range r {
		v := r[i].Load()
		at := v & seconds
		if at != 0 && v&^seconds == tag {
			if second < at+uint64(interval/time.Second) {
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
