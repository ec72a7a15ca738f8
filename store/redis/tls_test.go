package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/freeport"
	"github.com/patgate/patgate/internal/redistest"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.make("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// make makes a certificate, signed by a, or by itself where a has none yet, and
// writes it to name.crt and its key to name.key.
func (a *authority) make(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	a.must(err)
	raw, err := x509.MarshalECPrivateKey(key)
	a.must(err)
	a.must(os.WriteFile(a.path(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	a.must(os.WriteFile(a.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600))
	cert, err := x509.ParseCertificate(der)
	a.must(err)
	return cert, key
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.make("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	a.make("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	client, err := tls.LoadX509KeyPair(a.path("client.crt"), a.path("client.key"))
	a.must(err)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)

	addr := freeport.For(t)
	redistest.Start(t, "tls-port "+addr[strings.LastIndex(addr, ":")+1:], "tls-cert-file "+a.path("server.crt"), "tls-key-file "+a.path("server.key"),
		"tls-ca-cert-file "+a.path("ca.crt"), "tls-auth-clients yes")
	for _, c := range []struct {
		name string
		o    Options
		ok   bool
	}{
		{"both certificates", Options{URL: "rediss://" + addr, TLS: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{client}}}, true},
		{"by its address", Options{Addresses: []string{addr}, TLS: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{client}}}, true},
		{"no certificate of the client", Options{URL: "rediss://" + addr, TLS: &tls.Config{RootCAs: roots}}, false},
		{"an authority that nobody knows", Options{URL: "rediss://" + addr, TLS: &tls.Config{Certificates: []tls.Certificate{client}}}, false},
		{"no TLS", Options{URL: "redis://" + addr}, false},
	} {
		c.o.Budget = 2 * time.Second
		c.o.KeyPrefix = fmt.Sprint("tls", prefixes.Add(1))
		s, err := Open(c.o)
		if err != nil {
			t.Fatalf("%s: Open: %v", c.name, err)
		}
		defer s.Close()
		if c.ok {
			awaitHeard(t, s)
		}
		if err := s.Create(t.Context(), newToken("a")); (err == nil) != c.ok {
			t.Errorf("%s: Create = %v", c.name, err)
		}
	}
}
