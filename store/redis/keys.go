package redis

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

// keys are the names under which everything is kept.
type keys struct {
	tokens                                     string // a prefix
	head, feed, changes, ids, owners, gateways string
	events, eventsBy, uses, replicas           string
	ownPrefix, ownerPrefix, claimPrefix        string
}

func newKeys(prefix string) keys {
	tag := "{" + prefix + "}:"
	return keys{
		tokens: prefix + ":t:",
		head:   tag + "head", feed: tag + "feed", changes: tag + "changes",
		ids: tag + "ids", owners: tag + "owners", gateways: tag + "gateways",
		events: tag + "events", eventsBy: tag + "eventsby", uses: tag + "uses",
		replicas:  tag + "replicas",
		ownPrefix: tag + "own:", ownerPrefix: tag + "o:", claimPrefix: tag + "claim:",
	}
}

func (k *keys) token(d token.Digest) string { return k.tokens + string(d[:]) }
func (k *keys) own(owner string) string     { return k.ownPrefix + owner }
func (k *keys) owner(name string) string    { return k.ownerPrefix + name }

// claim is the key of the claim to make the token with an id.
func (k *keys) claim(id string) string { return k.claimPrefix + id }

// An entry of the ids index: id, 0, digest. No id has a 0, so that entries sort
// as ids do.
func idEntry(id string, d token.Digest) string { return id + "\x00" + string(d[:]) }

// splitIDEntry is the reverse of idEntry.
func splitIDEntry(e string) (id string, d token.Digest, ok bool) {
	i := len(e) - len(d) - 1
	if i < 0 || e[i] != 0 {
		return "", d, false
	}
	return e[:i], token.Digest([]byte(e[i+1:])), true
}

// streamID is the id of entry n of a stream.
func streamID(n uint64) string { return strconv.FormatUint(n, 10) + "-0" }

// streamNumber is the reverse of streamID.
func streamNumber(id string) (uint64, error) {
	n, _, _ := strings.Cut(id, "-")
	return strconv.ParseUint(n, 10, 64)
}

// named returns the error of a command. Where a key holds something of another type, it
// names the keys of the command.
func (k *keys) named(c redis.Cmder, err error) error {
	if !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return err
	}
	args, first, n := c.Args(), 1, 1
	switch args[0] {
	case "eval":
		first, n = 3, args[2].(int)
	case "xread":
		first = len(args) - 2
	}
	var names []string
	for _, key := range args[first : first+n] {
		name := fmt.Sprint(key)
		if d, ok := strings.CutPrefix(name, k.tokens); ok {
			name = fmt.Sprintf("%s<digest %x>", k.tokens, d)
		}
		names = append(names, name)
	}
	return fmt.Errorf("another program has written to redis key %s: delete it, and let patgate store check --repair put back what it can (%w)", strings.Join(names, " or "), err)
}
