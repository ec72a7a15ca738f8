package caddymodule

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/patgate/patgate/policy"
)

// frameOf returns a frame with a payload of this length.
func frameOf(opcode byte, length int, masked bool) []byte {
	frame := []byte{0x80 | opcode}
	var bit byte
	if masked {
		bit = 0x80
	}
	switch {
	case length < 126:
		frame = append(frame, bit|byte(length))
	case length < 1<<16:
		frame = append(frame, bit|126, byte(length>>8), byte(length))
	default:
		frame = append(frame, bit|127, 0, 0, 0, 0, byte(length>>24), byte(length>>16), byte(length>>8), byte(length))
	}
	if masked {
		frame = append(frame, 1, 2, 3, 4)
	}
	return append(frame, make([]byte, length)...)
}

// Between frames is after the last byte of a frame, however the frames are cut
// into pieces, and nowhere else.
func TestFrames(t *testing.T) {
	for _, masked := range []bool{false, true} {
		for _, length := range []int{0, 1, 125, 126, 127, 1000, 1<<16 - 1, 1 << 16, 70000} {
			for _, piece := range []int{1, 2, 3, 7, 1 << 20} {
				var f frames
				for range 2 {
					frame := frameOf(1, length, masked)
					for i := 0; i < len(frame); i += piece {
						if f.between() != (i == 0) {
							t.Fatalf("payload of %d, in pieces of %d: between frames is %v after %d bytes of %d", length, piece, f.between(), i, len(frame))
						}
						f.pass(frame[i:min(i+piece, len(frame))])
					}
				}
				if !f.between() || f.closed {
					t.Errorf("payload of %d, masked %v, in pieces of %d: between frames is %v at the end, closed %v", length, masked, piece, f.between(), f.closed)
				}
			}
		}
	}
}

// FuzzFrames passes the same bytes in two ways.
func FuzzFrames(f *testing.F) {
	f.Add(frameOf(1, 5, false), 3)
	f.Add(append(frameOf(2, 300, true), frameOf(8, 2, false)...), 2)
	f.Add([]byte{0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255, 0}, 9)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		var whole, parts frames
		whole.pass(b)
		at = min(max(at, 0), len(b))
		parts.pass(b[:at])
		parts.pass(b[at:])
		if whole.between() != parts.between() || whole.left != parts.left || whole.have != parts.have || whole.closed != parts.closed {
			t.Errorf("cut at %d: %+v, whole: %+v", at, parts, whole)
		}
	})
}

// A close frame stands between frames or nowhere, and nothing follows it.
func TestTunnelShut(t *testing.T) {
	hello, want := frameOf(1, 5, false), closeFrame(policyViolation, "token_revoked")
	for _, row := range []struct {
		name    string
		written [][]byte
		closed  bool // a close frame follows
	}{
		{"nothing yet", nil, true},
		{"after a frame", [][]byte{hello}, true},
		{"in a frame", [][]byte{hello, hello[:3]}, false},
		{"in a header", [][]byte{hello[:1]}, false},
		{"after the upstream's own close frame", [][]byte{hello, frameOf(8, 2, false)}, false},
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
