package redis

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	maxBatch   = 256 // lookups in one round trip
	maxBatches = 2   // under way at once, to one server: so that one can gather while another travels
)

// lane carries the lookups that go to one server. Lookups that come while others
// are under way gather, and travel together; one that comes alone goes at once.
type lane struct {
	s      *Store
	server *redis.Client

	mu      sync.Mutex
	waiting []*lookup
	batches int // under way
}

// lookup is the reading of one key.
type lookup struct {
	ctx    context.Context // of the caller that waits for it
	key    string
	before redis.Cmder // sent before it, to the same server; nil: nothing
	by     time.Time   // its deadline
	value  string
	err    error
	end    func() // called when value and err are there
}

// get returns the value of a key; "" where there is none.
func (s *Store) get(ctx context.Context, key string) (string, error) {
	return s.getAfter(ctx, nil, key)
}

// getAfter is get after another command, for a key of the same slot.
func (s *Store) getAfter(ctx context.Context, before redis.Cmder, key string) (string, error) {
	if err := s.usable(ctx); err != nil {
		return "", err
	}
	done := make(chan struct{})
	l := &lookup{ctx: ctx, key: key, before: before, end: func() { close(done) }}
	if err := s.ask(ctx, l); err != nil {
		return "", err
	}
	select {
	case <-done:
		return l.value, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// ask has a lookup travel with others that go to the same server. It ends within
// the budget, or with lookups that began a moment later.
func (s *Store) ask(ctx context.Context, l *lookup) error {
	l.by = time.Now().Add(s.budget)
	if s.cluster != nil { // it may have to be asked who its masters are
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, l.by)
		defer cancel()
	}
	server, err := s.serverOf(ctx, l.key)
	if err != nil {
		return plain(err)
	}
	found, ok := s.lanes.Load(server)
	if !ok {
		found, _ = s.lanes.LoadOrStore(server, &lane{s: s, server: server})
		if s.cluster != nil {
			go s.forgetNodes() // a new one may have come in the place of another
		}
	}
	found.(*lane).add(l)
	return nil
}

// forgetNodes drops what is kept of nodes that have left the Cluster.
func (s *Store) forgetNodes() {
	ctx, cancel := context.WithTimeout(s.ctx, s.budget)
	defer cancel()
	var mu sync.Mutex
	there := map[any]bool{}
	if err := s.cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		there[node] = true
		return nil
	}); err != nil {
		return // the next new node is soon enough
	}
	for _, kept := range []*sync.Map{&s.lanes, &s.replicas} {
		kept.Range(func(node, _ any) bool {
			if !there[node] {
				kept.Delete(node)
			}
			return true
		})
	}
}

func (n *lane) add(l *lookup) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = append(n.waiting, l)
	if n.batches < maxBatches {
		n.batches++
		go n.carry()
	}
}

// carry sends what has gathered until there is nothing left.
func (n *lane) carry() {
	var batch []*lookup
	for {
		runtime.Gosched() // those who are about to ask do so first
		if batch = n.take(batch[:0]); len(batch) == 0 {
			return
		}
		n.send(batch)
		for i, l := range batch {
			batch[i] = nil
			l.end()
		}
	}
}

// take takes those that have waited longest, and began at about the same time, so that
// one deadline does for all of them.
func (n *lane) take(batch []*lookup) []*lookup {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := 0
	for _, l := range n.waiting {
		if len(batch) == maxBatch || len(batch) > 0 && l.by.Sub(batch[0].by) > n.s.budget/4 {
			break
		}
		taken++
		if l.ctx == nil || l.ctx.Err() == nil { // else nobody waits for it
			batch = append(batch, l)
		}
	}
	n.waiting = slices.Delete(n.waiting, 0, taken)
	if len(batch) == 0 {
		n.batches--
	}
	return batch
}

// send sends a batch and fills in the answers.
func (n *lane) send(batch []*lookup) {
	s := n.s
	ctx, cancel := context.WithDeadline(s.ctx, batch[len(batch)-1].by)
	defer cancel()
	if err := ctx.Err(); err != nil { // they have waited for too long
		for _, l := range batch {
			l.err = err
		}
		return
	}
	for range 2 {
		if s.cluster != nil {
			n.pipe(ctx, batch)
		} else {
			n.mget(ctx, batch)
		}
		if !slices.ContainsFunc(batch, func(l *lookup) bool { return transient(l.err) }) || ctx.Err() != nil {
			break
		}
		s.reload(ctx)
	}
	for _, l := range batch {
		l.err = plain(l.err)
	}
}

var errReply = errors.New("the reply to MGET isn't one value for each key: is that redis, or a proxy that is in trouble?")

func (n *lane) mget(ctx context.Context, batch []*lookup) {
	if len(batch) == 1 {
		cmd := redis.NewStringCmd(noContext, "get", batch[0].key)
		n.process(ctx, batch, cmd)
		batch[0].value, batch[0].err = cmd.Val(), cmp.Or(batch[0].errBefore(), plain(cmd.Err()))
		return
	}
	args := make([]any, 1+len(batch))
	args[0] = "mget"
	for i, l := range batch {
		args[1+i] = &l.key // not copied, as a string would be
	}
	cmd := redis.NewStringSliceCmd(noContext, args...)
	n.process(ctx, batch, cmd)
	err := cmd.Err()
	if isNil(err) || err == nil && len(cmd.Val()) != len(batch) { // of a proxy, say: it says nothing of any key
		err = errReply
	}
	for i, l := range batch {
		if l.err = cmp.Or(l.errBefore(), err); err == nil {
			l.value = cmd.Val()[i]
		}
	}
}

// process sends the command that reads a batch, after those that its lookups want sent
// before.
func (n *lane) process(ctx context.Context, batch []*lookup, cmd redis.Cmder) {
	if !slices.ContainsFunc(batch, func(l *lookup) bool { return l.before != nil }) {
		n.server.Process(ctx, cmd)
		return
	}
	p := n.server.Pipeline()
	for _, l := range batch {
		if l.before != nil {
			p.Process(ctx, l.before)
		}
	}
	p.Process(ctx, cmd)
	execute(ctx, p)
}

// errBefore returns the error of the command before the lookup, if there is one.
func (l *lookup) errBefore() error {
	if l.before == nil {
		return nil
	}
	return plain(l.before.Err())
}

// pipe sends a batch to a node of a Cluster, which refuses keys of several slots
// in one command.
func (n *lane) pipe(ctx context.Context, batch []*lookup) {
	cmds := make([]*redis.StringCmd, len(batch))
	p := n.server.Pipeline()
	for i, l := range batch {
		cmds[i] = redis.NewStringCmd(noContext, "get", l.key)
		if l.before != nil {
			p.Process(ctx, l.before)
		}
		p.Process(ctx, cmds[i])
	}
	execute(ctx, p)
	for i, l := range batch {
		if moving(l.errBefore()) {
			n.s.cluster.Process(ctx, l.before)
		}
		err := cmds[i].Err()
		if moving(err) { // the key is on another node: ask that one
			err = n.s.cluster.Process(ctx, cmds[i])
		}
		if l.err = cmp.Or(l.errBefore(), plain(err)); l.err == nil {
			l.value = cmds[i].Val()
		}
	}
}
