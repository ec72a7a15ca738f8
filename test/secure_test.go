package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secure is a second listener, with TLS and HTTP/3, for the same sites.
type secure struct {
	*gateway
	addr string
}

// startSecure starts a gateway whose site is there without TLS and with it. In the setup's
// further sites, {$SECURE} is the port with TLS.
func startSecure(t *testing.T, s setup, site string) *secure {
	t.Helper()
	port := freePort(t)
	s.sites = "http://api.test:{$PORT} {\n" + site + "\n}\nhttps://api.test:" + port + " {\ntls {$DIR}/cert.pem {$DIR}/key.pem\n" + site + "\n}\n" + strings.ReplaceAll(s.sites, "{$SECURE}", port)
	g := prepare(t, s)
	certificate := clientCertificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(g.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.serve(t)
	return &secure{g, "127.0.0.1:" + port}
}

func insecure(protocols ...string) *tls.Config {
	return &tls.Config{ServerName: "api.test", InsecureSkipVerify: true, NextProtos: protocols}
}

func clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{DNSNames: []string{"api.test"}, SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// versions are all versions of HTTP.
func (s *secure) versions() []version {
	return []version{{"HTTP/1.1", s.send}, {"HTTP/2", s.send2}, {"HTTP/3", s.send3}}
}

// dialTLS connects to the gateway over TLS, for a protocol.
func (s *secure) dialTLS(t testing.TB, protocol string) net.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", s.addr, insecure(protocol))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// send2 sends a request like gateway.send2, over TLS.
func (s *secure) send2(t testing.TB, r request) *answer {
	t.Helper()
	c := s.dialTLS(t, "h2")
	defer c.Close()
	return s.exchange2(t, c, r, "https")
}
