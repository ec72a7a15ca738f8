// Package wsframe follows the frames that a WebSocket sends, without taking them apart,
// and says where another may be sent between them.
package wsframe

import "encoding/binary"

// PolicyViolation is a status code of close frames (RFC 6455 section 7.4.1).
const PolicyViolation = 1008

// Close returns a server's close frame (RFC 6455 section 5.5.1). A reason that is too
// long is cut.
func Close(code uint16, reason string) []byte {
	reason = reason[:min(len(reason), 123)]
	frame := []byte{0x88, byte(2 + len(reason))}
	frame = binary.BigEndian.AppendUint16(frame, code)
	return append(frame, reason...)
}

// Frames follows a sequence of frames (RFC 6455 section 5.2). The zero value is before
// the first.
type Frames struct {
	header [14]byte
	have   int    // bytes of the header
	left   uint64 // bytes of the payload
	closed bool   // a close frame has passed
}

// Between reports whether another frame may be sent now: one has just ended, or none has
// begun, and none has closed the connection.
func (f *Frames) Between() bool { return f.have == 0 && f.left == 0 && !f.closed }

// Pass takes in what is sent next, however it is cut.
func (f *Frames) Pass(b []byte) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			f.left -= n
			b = b[n:]
			continue
		}
		f.header[f.have] = b[0]
		f.have++
		b = b[1:]
		if f.have == f.length() {
			f.left = f.payload()
			f.closed = f.closed || f.header[0]&0x0f == 0x8
			f.have = 0
		}
	}
}

// length returns how long the header is, as far as it is known: at least 2 bytes.
func (f *Frames) length() int {
	n := 2
	switch f.header[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.header[1]&0x80 != 0 {
		n += 4 // a mask
	}
	return n
}

// payload returns how long the payload is.
func (f *Frames) payload() uint64 {
	switch n := f.header[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.header[2:])
	default:
		return uint64(n)
	}
}
