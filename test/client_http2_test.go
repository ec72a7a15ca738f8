package test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// send2 sends a request over a connection of its own in HTTP/2 with prior
// knowledge, field by field as it stands. Header lines whose names begin with a
// colon take the place of the pseudo-header fields. A stream or connection
// that the server breaks off is an answer with status 0.
func (g *gateway) send2(t testing.TB, r request) *answer {
	t.Helper()
	c := g.dial(t)
	defer c.Close()
	return g.exchange2(t, c, r, "http")
}

// exchange2 sends a request over a new connection in HTTP/2.
func (g *gateway) exchange2(t testing.TB, c net.Conn, r request, scheme string) *answer {
	t.Helper()
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := errors.Join(f.WriteSettings(), f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: encode(r.lines(scheme)), EndHeaders: true, EndStream: r.body == "" && r.trailer == nil,
	})); err != nil {
		t.Fatal(err)
	}
	if r.body != "" || r.trailer != nil {
		// The server may have broken off by now: what it answers is read below.
		f.WriteData(1, r.trailer == nil, []byte(r.body))
	}
	if r.trailer != nil {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(r.trailer), EndHeaders: true, EndStream: true})
	}
	status, header, body := 0, http.Header{}, bytes.Buffer{}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return g.newAnswer(0, header, nil)
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			status, _ = strconv.Atoi(frame.PseudoValue("status"))
			for _, field := range frame.RegularFields() {
				header.Add(field.Name, field.Value)
			}
			ended = frame.StreamEnded()
		case *http2.DataFrame:
			body.Write(frame.Data())
			ended = frame.StreamEnded()
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return g.newAnswer(status, header, body.Bytes())
		}
		if ended {
			return g.newAnswer(status, header, body.Bytes())
		}
	}
}

// lines returns the request's fields.
func (r request) lines(scheme string) []string {
	lines := []string{":method: " + r.verb(), ":scheme: " + scheme, ":authority: " + r.authority(), ":path: " + r.target}
	var own []string
	for _, line := range r.header {
		if strings.HasPrefix(line, ":") {
			name, _, _ := strings.Cut(line[1:], ":")
			lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, ":"+name+":") })
			if !strings.HasSuffix(line, ": -") { // "-": the field is left out
				lines = append(lines, line)
			}
			continue
		}
		own = append(own, line)
	}
	return append(lines, own...)
}

func encode(lines []string) []byte {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, line := range lines {
		name, value := field(line)
		e.WriteField(hpack.HeaderField{Name: name, Value: value}) // a Buffer takes all
	}
	return block.Bytes()
}

// field takes a line apart.
func field(line string) (name, value string) {
	i := strings.IndexByte(line[1:], ':') + 1
	return strings.ToLower(line[:i]), strings.TrimPrefix(line[i+1:], " ")
}
