package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/patgate/patgate/store/redis"
)

// A line about Redis is for its operator, who has no use for a stack of patgate's.
func TestStoreLogHasNoStack(t *testing.T) {
	core, lines := observer.New(zapcore.InfoLevel)
	slog.New(storeLogTo(core)).Error("redis has lost a change")
	if got := lines.All(); len(got) != 1 || got[0].LoggerName != "patgate.store" || got[0].Stack != "" {
		t.Errorf("logged %+v, want one line of patgate.store without a stack", got)
	}
}

// Certificates are renewed while the store is open: the client's is read for every
// connection, and other authorities make it another store, which a reload opens.
func TestRenewedCertificates(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	renew := func(serial int64) {
		t.Helper()
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := x509.MarshalECPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: raw}} {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	renew(1)
	c := &RedisConfig{Options: redis.Options{Addresses: []string{"redis.internal:6379"}}, TLS: &RedisTLS{CA: cert, Cert: cert, Key: key}}
	config, _, err := c.TLS.config()
	if err != nil {
		t.Fatal(err)
	}
	shown := func() int64 {
		t.Helper()
		pair, err := config.GetClientCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	first, err := c.source()
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != 1 {
		t.Errorf("at first: certificate %d, want 1", got)
	}
	renew(2)
	if got := shown(); got != 2 {
		t.Errorf("renewed: certificate %d, want 2", got)
	}
	second, err := c.source()
	if err != nil || second.key == first.key {
		t.Errorf("with other authorities it is the same store (%v)", err)
	}
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != 1 {
		t.Errorf("being written: certificate %d, want the one read at first", got)
	}
}

// Placeholders are replaced in all texts, those of TLS too.
func TestStorePlaceholders(t *testing.T) {
	t.Setenv("PATGATE_TEST_CA", filepath.Join(t.TempDir(), "ca.pem"))
	c := RedisConfig{Options: redis.Options{URL: "rediss://redis.internal"}, TLS: &RedisTLS{CA: "{env.PATGATE_TEST_CA}"}}
	want := "store redis: tls: reading ca: open " + os.Getenv("PATGATE_TEST_CA") + ": "
	if _, err := c.source(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s…", err, want)
	}
	c.TLS.ServerName = "{env.PATGATE_TEST_UNSET}"
	want = "store redis: tls server_name: "
	if _, err := c.source(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s…", err, want)
	}
	if c.TLS.CA != "{env.PATGATE_TEST_CA}" {
		t.Errorf("the configuration shows %s, not the placeholder", c.TLS.CA)
	}
}

// A setting without effect was meant to have one.
func TestStoreOfTwoKinds(t *testing.T) {
	for _, c := range []struct {
		config StoreConfig
		want   string
	}{
		{StoreConfig{Redis: &RedisConfig{}}, "store embedded: redis has no effect here"},
		{StoreConfig{Kind: "redis", File: "tokens.db", Redis: &RedisConfig{Options: redis.Options{URL: "redis://redis.internal"}}}, "store redis: file has no effect here"},
		{StoreConfig{Kind: "redis"}, "store redis: want a URL, or addresses"},
		{StoreConfig{Kind: "file"}, `store "file": want embedded or redis`},
	} {
		if err := c.config.check(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.config, err, c.want)
		}
	}
}
