package caddymodule

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/store/redis"
)

// StoreConfig says where tokens are kept.
type StoreConfig struct {
	// One of "embedded" (a file that only this server opens) and "redis".
	// Default: "embedded".
	Kind string `json:"kind,omitempty"`
	// The file of the embedded store; may be a placeholder. A relative path is relative
	// to the directory in which the server was started. Default: "patgate/tokens.db" in
	// Caddy's data directory.
	File string `json:"file,omitempty"`
	// Where Redis or Valkey is, if "kind" is "redis".
	Redis *RedisConfig `json:"redis,omitempty"`
}

// RedisConfig says where Redis or Valkey is and how to get in. Its strings may be
// placeholders such as "{env.REDIS_PASSWORD}" and "{file./run/secrets/redis}": only
// these, never what they stand for, are shown in configurations and logs.
type RedisConfig struct {
	redis.Options
	// How the connection is encrypted; may be empty. Default: it isn't, unless the URL
	// begins with "rediss://".
	TLS *RedisTLS `json:"tls,omitempty"`
	// How long a lookup, and each step of a change, may take, including a new
	// connection. Default: "250ms".
	Budget Duration `json:"budget,omitempty"`
}

// RedisTLS says how a connection to Redis is encrypted.
type RedisTLS struct {
	// A file with the trusted certificate authorities. Default: the system's.
	CA string `json:"ca,omitempty"`
	// A file with the client's certificate. It and its key are read anew for every
	// connection. Default: none.
	Cert string `json:"cert,omitempty"`
	// A file with its key. Default: none.
	Key string `json:"key,omitempty"`
	// The name on the server's certificate. Default: the host name.
	ServerName string `json:"server_name,omitempty"`
}

// source says which store is meant: its identity, and how it is opened.
type source struct {
	key  string
	file string // of an embedded store
	open func() (store.Store, error)
}

// check refuses what contradicts itself, or says too little.
func (c *StoreConfig) check() error {
	switch kind := cmp.Or(c.Kind, "embedded"); {
	case kind == "embedded" && c.Redis != nil:
		return errors.New("store embedded: redis has no effect here")
	case kind == "redis" && (c.Redis == nil || c.Redis.URL == "" && len(c.Redis.Addresses) == 0):
		return errors.New("store redis: want a URL, or addresses")
	case kind == "redis" && c.File != "":
		return errors.New("store redis: file has no effect here")
	case kind == "redis" && c.Redis.Budget != 0 && time.Duration(c.Redis.Budget) < minDuration:
		return fmt.Errorf("store redis: budget %q: %s", time.Duration(c.Redis.Budget), wantDuration)
	case kind != "embedded" && kind != "redis":
		return fmt.Errorf("store %q: want embedded or redis", kind)
	}
	return nil
}

// source works out which store a configuration means that check takes. It opens nothing.
func (c *StoreConfig) source() (source, error) {
	if c.Redis != nil {
		return c.Redis.source()
	}
	return c.embedded()
}

func (c *StoreConfig) embedded() (source, error) {
	file := filepath.Join(caddy.AppDataDir(), "patgate", "tokens.db")
	if c.File != "" {
		expanded, err := caddy.NewReplacer().ReplaceOrErr(c.File, true, true)
		if err != nil {
			return source{}, fmt.Errorf("store file %s: %w", c.File, err)
		}
		if file, err = filepath.Abs(expanded); err != nil {
			return source{}, fmt.Errorf("store file %s: %w", c.File, err)
		}
	}
	return source{key: "embedded:" + file, file: file, open: func() (store.Store, error) {
		return embedded.Open(file)
	}}, nil
}

// texts returns the texts that may be placeholders, by their names.
func (c *RedisConfig) texts() map[string]*string {
	texts := map[string]*string{
		"url": &c.URL, "sentinel": &c.MasterName, "username": &c.Username, "password": &c.Password,
		"sentinel_username": &c.SentinelUsername, "sentinel_password": &c.SentinelPassword, "key_prefix": &c.KeyPrefix,
	}
	if c.TLS != nil {
		texts["tls ca"], texts["tls cert"], texts["tls key"], texts["tls server_name"] = &c.TLS.CA, &c.TLS.Cert, &c.TLS.Key, &c.TLS.ServerName
	}
	for i := range c.Addresses {
		texts[fmt.Sprintf("address %d", i+1)] = &c.Addresses[i]
	}
	return texts
}

// source works out the options with all placeholders replaced. The identity of
// the store is a digest of them, for there are passwords in it.
func (c *RedisConfig) source() (source, error) {
	plain := *c
	plain.Addresses = slices.Clone(c.Addresses)
	if c.TLS != nil {
		plain.TLS = new(*c.TLS)
	}
	replacer := caddy.NewReplacer()
	texts := plain.texts()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		if *text == "" {
			continue
		}
		expanded, err := replacer.ReplaceOrErr(*text, true, true)
		if err != nil {
			return source{}, fmt.Errorf("store redis: %s: %w", name, err)
		}
		*text = expanded
	}
	options := plain.Options
	options.Budget = time.Duration(plain.Budget)
	options.Logger = cmp.Or(plain.Logger, slog.New(storeLog{}))
	var authorities []byte // what its file holds: a store that trusts others is another one
	if plain.TLS != nil {
		var err error
		if options.TLS, authorities, err = plain.TLS.config(); err != nil {
			return source{}, fmt.Errorf("store redis: tls: %w", err)
		}
	}
	if err := options.Validate(); err != nil {
		return source{}, fmt.Errorf("store %w", err)
	}
	identity, err := json.Marshal(struct {
		RedisConfig
		Authorities []byte
	}{plain, authorities})
	if err != nil {
		return source{}, fmt.Errorf("store redis: %w", err)
	}
	return source{key: fmt.Sprintf("redis:%x", sha256.Sum256(identity)), open: func() (store.Store, error) {
		return redis.Open(options)
	}}, nil
}

// config returns what it means, and what the file of the authorities holds.
func (c *RedisTLS) config() (config *tls.Config, authorities []byte, err error) {
	config = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		if authorities, err = os.ReadFile(c.CA); err != nil {
			return nil, nil, fmt.Errorf("reading ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, nil, fmt.Errorf("ca %s: has no certificate", c.CA)
		}
	}
	if c.Cert != "" || c.Key != "" {
		last, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, nil, fmt.Errorf("reading cert and key: %w", err)
		}
		// They are renewed more often than the store is opened.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if now, err := tls.LoadX509KeyPair(c.Cert, c.Key); err == nil {
				return &now, nil
			}
			return &last, nil // they may be being written
		}
	}
	return config, authorities, nil
}

// storeLog is the log of a store. The store outlives configurations and their
// logs, so each line goes to the log of its time. (What With makes goes to that of
// when it was made: no store uses it.)
type storeLog struct{}

func (storeLog) now() slog.Handler { return storeLogTo(caddy.Log().Core()) }

// storeLogTo writes no stack traces, as no log of Caddy's does: zapslog would from the
// level of errors, which are those of Redis here.
func storeLogTo(core zapcore.Core) slog.Handler {
	return zapslog.NewHandler(core, zapslog.WithName("patgate.store"), zapslog.AddStacktraceAt(math.MaxInt))
}

// Enabled implements slog.Handler.
func (l storeLog) Enabled(ctx context.Context, level slog.Level) bool {
	return l.now().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l storeLog) Handle(ctx context.Context, r slog.Record) error { return l.now().Handle(ctx, r) }

// WithAttrs implements slog.Handler.
func (l storeLog) WithAttrs(attrs []slog.Attr) slog.Handler { return l.now().WithAttrs(attrs) }

// WithGroup implements slog.Handler.
func (l storeLog) WithGroup(name string) slog.Handler { return l.now().WithGroup(name) }
