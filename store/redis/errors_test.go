package redis

import (
	"net"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/redistest"
)

// Where one side speaks TLS and the other doesn't, the error asks whether that is so.
func TestTLSOnOneSide(t *testing.T) {
	t.Parallel()
	refusing := accept(t, func(net.Conn) {}) // closes, as Redis does with what is no TLS
	for _, url := range []string{"rediss://" + redistest.Start(t).Addr, "redis://" + refusing} {
		s, err := Open(Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Create(t.Context(), newToken("a")); err == nil || !strings.Contains(err.Error(), "is that port for TLS?") {
			t.Errorf("%s: %v, want a question for TLS", url, err)
		}
	}
}

// What is wrong with several servers is said on one line.
func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Addresses: []string{redistest.Prepare(t).Addr, redistest.Prepare(t).Addr}, MasterName: "gate"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Find(t.Context(), digest("a")); err == nil || !strings.Contains(err.Error(), "refused; ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Find: %v, want an error of one line", err)
	}
}

// A password that is wrong, or missing, is said in words that name what to do.
func TestErrorsOfPasswords(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass right")
	for password, want := range map[string]string{"wrong": "patgate reload --force: WRONGPASS", "": "the configuration has none: NOAUTH"} {
		s, err := Open(Options{Addresses: []string{server.Addr}, Password: password})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Find(t.Context(), digest("a")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("password %q: %v, want %q", password, err, want)
		}
	}
}
