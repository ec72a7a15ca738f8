package caddymodule

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/patgate/patgate/internal/wsframe"
	"github.com/patgate/patgate/policy"
)

// A close frame stands between frames or nowhere, and nothing follows it.
func TestTunnelShut(t *testing.T) {
	hello, bye := []byte("\x81\x05hello"), []byte("\x88\x02\x03\xe8")
	want := wsframe.Close(wsframe.PolicyViolation, "token_revoked")
	for _, row := range []struct {
		name    string
		written [][]byte
		closed  bool // a close frame follows
	}{
		{"nothing yet", nil, true},
		{"after a frame", [][]byte{hello}, true},
		{"in a frame", [][]byte{hello, hello[:3]}, false},
		{"in a header", [][]byte{hello[:1]}, false},
		{"after the upstream's own close frame", [][]byte{hello, bye}, false},
		{"between the fragments of a message", [][]byte{{0x01, 1, 'a'}}, true},
	} {
		w := httptest.NewRecorder()
		tu := &tunnel{ResponseWriter: w, extended: true}
		tu.WriteHeader(http.StatusOK)
		var sent []byte
		for _, b := range row.written {
			sent = append(sent, b...)
			if _, err := tu.Write(b); err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
		}
		tu.shut(policy.TokenRevoked)
		if row.closed {
			sent = append(sent, want...)
		}
		if !bytes.Equal(w.Body.Bytes(), sent) {
			t.Errorf("%s: the client got %q, want %q", row.name, w.Body, sent)
		}
		if _, err := tu.Write(hello); !errors.Is(err, errCut) {
			t.Errorf("%s: writing after it: %v, want %v", row.name, err, errCut)
		}
	}

	// What refuses a WebSocket has no frames.
	w := httptest.NewRecorder()
	tu := &tunnel{ResponseWriter: w, extended: true}
	tu.WriteHeader(http.StatusForbidden)
	tu.Write([]byte("no"))
	tu.shut(policy.TokenRevoked)
	if w.Body.String() != "no" {
		t.Errorf("an answer that isn't a tunnel got %q", w.Body)
	}
}
