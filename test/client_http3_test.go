package test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// The frames of HTTP/3 (RFC 9114 section 7.2).
const (
	frameData     = 0
	frameHeaders  = 1
	frameSettings = 4
)

// frame3 returns a frame of HTTP/3.
func frame3(kind uint64, payload []byte) []byte {
	b := quicvarint.Append(nil, kind)
	return append(quicvarint.Append(b, uint64(len(payload))), payload...)
}

// dial3 connects to the gateway in HTTP/3.
func (s *secure) dial3(t testing.TB) *quic.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, s.addr, insecure(http3.NextProtoH3), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	control, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.Write(append([]byte{0}, frame3(frameSettings, nil)...)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// send3 sends a request over a connection of its own in HTTP/3, field by field as it
// stands, like send2.
func (s *secure) send3(t testing.TB, r request) *answer {
	t.Helper()
	return s.exchange3(t, s.dial3(t), r)
}

// exchange3 sends a request over a connection in HTTP/3.
func (s *secure) exchange3(t testing.TB, conn *quic.Conn, r request) *answer {
	t.Helper()
	stream, err := conn.OpenStream()
	if err != nil {
		return s.newAnswer(0, http.Header{}, nil)
	}
	stream.SetDeadline(time.Now().Add(patience))
	message := frame3(frameHeaders, encode3(r.lines("https")))
	if r.body != "" {
		message = append(message, frame3(frameData, []byte(r.body))...)
	}
	if r.trailer != nil {
		message = append(message, frame3(frameHeaders, encode3(r.trailer))...)
	}
	// The server may have broken off by now: what it answers is read below.
	stream.Write(message)
	stream.Close()
	status, header, body, err := read3(stream)
	if err != nil {
		return s.newAnswer(0, header, nil)
	}
	return s.newAnswer(status, header, body)
}

// read3 reads an answer in HTTP/3, to its end.
func read3(stream io.Reader) (status int, header http.Header, body []byte, err error) {
	header = http.Header{}
	r := quicvarint.NewReader(stream)
	for {
		kind, err := quicvarint.Read(r)
		if err == io.EOF {
			return status, header, body, nil
		}
		if err != nil {
			return status, header, body, err
		}
		length, err := quicvarint.Read(r)
		if err != nil {
			return status, header, body, io.ErrUnexpectedEOF
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return status, header, body, io.ErrUnexpectedEOF
		}
		switch kind {
		case frameData:
			body = append(body, payload...)
		case frameHeaders:
			for next := qpack.NewDecoder().Decode(payload); ; {
				field, err := next()
				if err == io.EOF {
					break
				}
				if err != nil {
					return status, header, body, err
				}
				if field.Name == ":status" {
					status, _ = strconv.Atoi(field.Value)
					continue
				}
				header.Add(field.Name, field.Value)
			}
		}
	}
}

func encode3(lines []string) []byte {
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for _, line := range lines {
		name, value := field(line)
		e.WriteField(qpack.HeaderField{Name: name, Value: value}) // a Buffer takes all
	}
	return block.Bytes()
}
