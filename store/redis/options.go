package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say where Redis or Valkey is, how to get in, and who is asking. Those with a
// name in JSON are what an operator configures.
type Options struct {
	// The URL of one server: "redis://user:password@host:port/db", "rediss://…" for TLS,
	// or "unix:///path?db=n". The other fields win over it. Default: none.
	URL string `json:"url,omitempty"`
	// In place of a URL, the addresses ("host:port") of the server, of some nodes of the
	// Cluster, or of the Sentinels.
	Addresses []string `json:"addresses,omitempty"`
	// Whether the addresses are those of a Cluster.
	Cluster bool `json:"cluster,omitempty"`
	// The name of the master, if the addresses are those of Sentinels. Default: none.
	MasterName string `json:"sentinel,omitempty"`

	// The Redis user. Default: none.
	Username string `json:"username,omitempty"`
	// Its password. Default: none.
	Password string `json:"password,omitempty"`
	// The user for the Sentinels. Default: none.
	SentinelUsername string `json:"sentinel_username,omitempty"`
	// Its password. Default: none.
	SentinelPassword string `json:"sentinel_password,omitempty"`
	// The number of the database; a Cluster has only 0. Default: 0.
	DB int `json:"db,omitempty"`
	// The beginning of all key names. Default: "patgate".
	KeyPrefix string `json:"key_prefix,omitempty"`

	TLS    *tls.Config   `json:"-"` // nil: none, or as the URL says
	Budget time.Duration `json:"-"` // a lookup, and each step of a change, may take so long; default: 250 ms
	Logger *slog.Logger  `json:"-"` // default: none

	// For tests.
	name     string // of this process among the gateways; "": the host's, and eight random characters
	feedAddr string // of the server that the feed comes from; "": the same
}

// Validate reports what is wrong with the options. Nothing is connected.
func (o Options) Validate() error {
	_, err := o.universal()
	return err
}

// maxConnections bounds what one process opens to a server. Lookups are batched:
// a few connections carry all of them.
const maxConnections = 32

// maxChanges bounds the changes that are made at a time: each takes a connection, for
// as long as replicas take to confirm it, and lookups are to find others.
const maxChanges = 8

// universal fills in o's defaults and returns it in the form of go-redis.
func (o *Options) universal() (*redis.UniversalOptions, error) {
	o.KeyPrefix = cmp.Or(o.KeyPrefix, "patgate")
	o.Budget = cmp.Or(o.Budget, 250*time.Millisecond)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if err := o.check(); err != nil {
		return nil, err
	}
	u := &redis.UniversalOptions{
		Addrs: slices.Clone(o.Addresses), IsClusterMode: o.Cluster, MasterName: o.MasterName,
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLS,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,

		// For a caller who waits for an answer, not for a batch job: no
		// waiting beyond the context, no retries behind its back.
		ContextTimeoutEnabled: true,
		DialTimeout:           o.Budget,
		DialerRetries:         1,
		ReadTimeout:           o.Budget,
		WriteTimeout:          o.Budget,
		PoolTimeout:           o.Budget,
		MaxRetries:            -1,
		MinRetryBackoff:       time.Millisecond,
		MaxRetryBackoff:       o.Budget / 8,
		PoolSize:              maxConnections / 2,
		MaxActiveConns:        maxConnections,
		PipelinePoolSize:      -1,
		ConnMaxIdleTime:       5 * time.Minute,
		DisableIdentity:       true,
		Protocol:              2, // what 3 adds isn't used, and is looked for before each reply
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	if o.URL == "" {
		return u, CheckAddresses(u.Addrs)
	}
	return u, o.useURL(u)
}

// check refuses options that contradict each other, or say too little.
func (o *Options) check() error {
	switch {
	case o.Cluster && o.MasterName != "":
		return errors.New("redis: cluster and sentinel exclude each other")
	case o.URL == "" && len(o.Addresses) == 0:
		return errors.New("redis: no address")
	case o.URL != "" && len(o.Addresses) > 0:
		return errors.New("redis: give a URL or addresses, not both")
	case !o.Cluster && o.MasterName == "" && len(o.Addresses) > 1:
		return errors.New("redis: several addresses are those of a cluster, or of sentinels: say which")
	case o.Cluster && o.DB != 0:
		return errClusterDB
	case o.DB < 0: // go-redis takes it for 0
		return fmt.Errorf("redis: db %d: want the number of a database, from 0", o.DB)
	case strings.ContainsAny(o.KeyPrefix, "{}"):
		return fmt.Errorf("redis: key prefix %q: braces have a meaning of their own", o.KeyPrefix)
	case o.URL != "" && o.MasterName != "":
		return errors.New("redis: sentinels are given by their addresses, not by a URL")
	}
	return nil
}

var errClusterDB = errors.New("redis: a cluster has only db 0")

// useURL fills in what the URL says, and o doesn't.
func (o *Options) useURL(u *redis.UniversalOptions) error {
	parsed, err := redis.ParseURL(o.URL)
	if err != nil || misplaced(o.URL) {
		return badURL(o.URL)
	}
	u.Addrs = []string{parsed.Addr}
	if parsed.Network != "unix" && CheckAddresses(u.Addrs) != nil {
		return badURL(o.URL)
	}
	u.Username = cmp.Or(o.Username, parsed.Username)
	u.Password = cmp.Or(o.Password, parsed.Password)
	u.DB = cmp.Or(o.DB, parsed.DB)
	u.TLSConfig = cmp.Or(o.TLS, parsed.TLSConfig)
	if o.Cluster && u.DB != 0 {
		return errClusterDB
	}
	return nil
}

// CheckAddresses refuses what no connection can be made to.
func CheckAddresses(all []string) error {
	for _, address := range all {
		host, port, err := net.SplitHostPort(address)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
			return fmt.Errorf("redis: address %q: want <host:port>, as in redis.internal:6379", address)
		}
	}
	return nil
}

// misplaced reports whether a password with a "/", "?" or "#" that isn't escaped
// has ended the host's name early: what is taken for the host is a piece of it.
func misplaced(given string) bool {
	_, rest, _ := strings.Cut(given, "://")
	i := strings.IndexAny(rest, "/?#")
	return i >= 0 && strings.Contains(rest[i:], "@")
}

// badURL says what a URL should look like, and of the one given only what can't
// be a password. (The errors of net/url and go-redis quote all of it.)
func badURL(given string) error {
	const want = "want redis://user:password@host:port/db, rediss://… or unix:///path?db=n, with %XX for special characters in the password"
	scheme, _, ok := strings.Cut(given, "://")
	if !ok || !slices.Contains([]string{"redis", "rediss", "unix"}, scheme) {
		return errors.New("redis: the URL can't be read: " + want)
	}
	return fmt.Errorf("redis: the %s URL can't be read: %s", scheme, want)
}

// gatewayName returns a name that no other gateway has.
func gatewayName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "gateway"
	}
	return host + "-" + strings.ToLower(rand.Text()[:8]) // containers may share a host's name
}

// clientAt returns a client of the server at an address.
func clientAt(o redis.UniversalOptions, address string) *redis.Client {
	o.Addrs = []string{address}
	return redis.NewClient(o.Simple())
}

// sentinels returns clients of the Sentinels themselves, if there are any. They
// connect when they are asked.
func sentinels(o *redis.UniversalOptions) (all []*redis.Client) {
	if o.MasterName == "" {
		return nil
	}
	asked := *o
	asked.Username, asked.Password, asked.DB = o.SentinelUsername, o.SentinelPassword, 0
	for _, address := range o.Addrs {
		all = append(all, clientAt(asked, address))
	}
	return all
}

// location returns where the server is, for people.
func location(o *redis.UniversalOptions) string {
	addresses := strings.Join(o.Addrs, ",")
	switch {
	case o.MasterName != "":
		return fmt.Sprintf("redis %s of sentinels %s", o.MasterName, addresses)
	case o.IsClusterMode:
		return "redis cluster " + addresses
	case o.DB != 0:
		return fmt.Sprintf("redis %s/%d", addresses, o.DB)
	}
	return "redis " + addresses
}

// silence keeps go-redis from writing to standard error by itself. What matters
// comes back as an error, and is logged where it is understood. There is one
// logger for all clients in the process, other modules' as well.
var silence = sync.OnceFunc(func() { redis.SetLogger(quiet{}) })

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
