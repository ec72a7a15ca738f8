package wsframe

import (
	"strings"
	"testing"
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
				var f Frames
				for range 2 {
					frame := frameOf(1, length, masked)
					for i := 0; i < len(frame); i += piece {
						if f.Between() != (i == 0) {
							t.Fatalf("payload of %d, in pieces of %d: between frames is %v after %d bytes of %d", length, piece, f.Between(), i, len(frame))
						}
						f.Pass(frame[i:min(i+piece, len(frame))])
					}
				}
				if !f.Between() {
					t.Errorf("payload of %d, masked %v, in pieces of %d: not between frames at the end", length, masked, piece)
				}
			}
		}
	}
}

// Behind a close frame there is no place for another.
func TestClosed(t *testing.T) {
	for _, frame := range [][]byte{frameOf(8, 0, false), frameOf(8, 2, true), Close(PolicyViolation, strings.Repeat("x", 200))} {
		var f Frames
		f.Pass(frame)
		f.Pass(frameOf(1, 5, false))
		if f.Between() {
			t.Errorf("after % x and another frame, one more may be sent", frame)
		}
		if f.have != 0 || f.left != 0 {
			t.Errorf("% x is taken for %d bytes more", frame, f.left)
		}
	}
}

// FuzzFrames passes the same bytes in two ways.
func FuzzFrames(f *testing.F) {
	f.Add(frameOf(1, 5, false), 3)
	f.Add(append(frameOf(2, 300, true), frameOf(8, 2, false)...), 2)
	f.Add([]byte{0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255, 0}, 9)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		var whole, parts Frames
		whole.Pass(b)
		at = min(max(at, 0), len(b))
		parts.Pass(b[:at])
		parts.Pass(b[at:])
		if whole != parts {
			t.Errorf("cut at %d: %+v, whole: %+v", at, parts, whole)
		}
	})
}
