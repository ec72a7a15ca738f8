package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

// answered is what a client learns of an answer.
type answered struct {
	Failed   bool // no answer
	Status   int
	Header   string
	Body     string
	Cut      string // the error that the body ended with
	Trailer  string
	Informed []int // 1xx
}

// ask sends one request and reads the whole answer.
func ask(t testing.TB, rt http.RoundTripper, method, url string) answered {
	t.Helper()
	var a answered
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			a.Informed = append(a.Informed, code)
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, method, url+"/path?q=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	r.Header.Set("Accept-Encoding", "identity")
	res, err := rt.RoundTrip(r)
	if err != nil {
		a.Failed = true
		return a
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	a.Status, a.Header, a.Body, a.Cut, a.Trailer = res.StatusCode, fmt.Sprint(res.Header), string(b), fmt.Sprint(err), fmt.Sprint(res.Trailer)
	if n, again := res.Body.Read(make([]byte, 1)); n != 0 || again == nil {
		t.Errorf("behind its end, and closed, the body has %d bytes, %v", n, again)
	}
	return a
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// Whatever an upstream answers, the short way makes the same of it as net/http,
// sends the same, and keeps the connection if and only if net/http does.
func TestLikeNetHTTP(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		method string // GET if empty
		answer string // to the first request; the second is answered "ok"
	}{
		{name: "a length", answer: ok},
		{name: "no body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n"},
		{name: "304", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
		{name: "HEAD", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		{name: "HEAD, chunked", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{name: "OPTIONS", method: "OPTIONS", answer: ok},
		{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"},
		{name: "chunked, with a trailer", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n"},
		{name: "up to the end of the connection", answer: "HTTP/1.1 200 OK\r\n\r\nall of it" + drop},
		{name: "that will be closed", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" + drop},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" + drop},
		{name: "that should be closed", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"},
		{name: "HTTP/1.0 that stays", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"},
		{name: "early hints first", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok},
		{name: "several 1xx first", answer: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 9) + ok},
		{name: "continue, unasked", answer: "HTTP/1.1 100 Continue\r\n\r\n" + ok},
		{name: "too short", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok" + drop},
		{name: "half a chunk", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab" + drop},
		{name: "a bad chunk", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n" + drop},
		{name: "half a header", answer: "HTTP/1.1 200 OK\r\nContent-Le" + drop},
		{name: "no HTTP", answer: "SSH-2.0-OpenSSH_9.2\r\n" + drop},
		{name: "a bad status", answer: "HTTP/1.1 2x0 OK\r\n\r\n" + drop},
		{name: "a bad header", answer: "HTTP/1.1 200 OK\r\nno colon\r\n\r\n" + drop},
		{name: "two lengths", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok" + drop},
		{name: "the same length twice", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
		{name: "a length and chunked", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
		{name: "another coding", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + drop},
		{name: "a length that is none", answer: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok" + drop},
		{name: "nothing", answer: ""},
		{name: "folded header", answer: "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.method == "" {
				row.method = "GET"
			}
			type outcome struct {
				first, second answered
				requests      []string
				kept          bool
			}
			try := func(rt http.RoundTripper) (o outcome) {
				u := startUpstream(t, row.answer, ok)
				o.first = ask(t, rt, row.method, u.url())
				o.second = ask(t, rt, row.method, u.url())
				var conns []int
				o.requests, conns = u.asked()
				for i := range o.requests {
					o.requests[i] = strings.ReplaceAll(o.requests[i], u.listener.Addr().String(), "host")
				}
				o.kept = len(conns) == 2 && conns[1] == 0
				return o
			}
			std := &http.Transport{}
			defer std.CloseIdleConnections()
			want, got := try(std), try(newShort(t))
			if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
				t.Errorf("got\n%s\nwant, as with net/http,\n%s", g, w)
			}
		})
	}
}

// A switch of protocols that nobody asked for is an error; net/http would hand
// the connection over, for reverse_proxy to find that out.
func TestUnaskedSwitch(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"+ok)
	if a := ask(t, newShort(t), "GET", u.url()); !a.Failed {
		t.Errorf("answered %d", a.Status)
	}
}

// Answers before the answer are told of, if somebody wants to hear of them, and may end the
// request.
func TestInformed(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	for name, row := range map[string]struct {
		trace *httptrace.ClientTrace
		want  error
	}{
		"nobody":           {nil, nil},
		"somebody else":    {&httptrace.ClientTrace{}, nil},
		"who has had some": {&httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { return enough }}, enough},
	} {
		ctx := t.Context()
		if row.trace != nil {
			ctx = httptrace.WithClientTrace(ctx, row.trace)
		}
		r, err := http.NewRequestWithContext(ctx, "GET", startUpstream(t, "HTTP/1.1 103 Early Hints\r\n\r\n"+ok).url(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "test")
		res, err := newShort(t).RoundTrip(r)
		if !errors.Is(err, row.want) {
			t.Errorf("told to %s: %v, want %v", name, err, row.want)
		}
		if err == nil {
			res.Body.Close()
		}
	}
}

// What goes another way.
func TestTakes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*http.Request)
		want   bool
	}{
		{"a GET", func(*http.Request) {}, true},
		{"an empty body", func(r *http.Request) { r.Body = http.NoBody }, true},
		{"a POST", func(r *http.Request) { r.Method = "POST" }, false},
		{"a DELETE", func(r *http.Request) { r.Method = "DELETE" }, false},
		{"another method", func(r *http.Request) { r.Method = "get" }, false},
		{"a body", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 }, false},
		{"a body of a length that isn't said", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) }, false},
		{"a length without a body", func(r *http.Request) { r.ContentLength = 1 }, false},
		{"a body of unknown length", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), -1 }, false},
		{"a trailer", func(r *http.Request) { r.Trailer = http.Header{"X": nil} }, false},
		{"TLS", func(r *http.Request) { r.URL.Scheme = "https" }, false},
		{"an upgrade", func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }, false},
		{"an expectation", func(r *http.Request) { r.Header.Set("Expect", "100-continue") }, false},
		{"to be closed", func(r *http.Request) { r.Close = true }, false},
		{"chunked", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, false},
		{"no host", func(r *http.Request) { r.URL.Host = "" }, false},
		{"a header that can't be sent", func(r *http.Request) { r.Header["X y"] = []string{"1"} }, false},
		{"a value that can't be sent", func(r *http.Request) { r.Header["X"] = []string{"1\r\nY: 2"} }, false},
		{"a query that can't be sent", func(r *http.Request) { r.URL.RawQuery = "a b" }, false},
		{"a query with a control character", func(r *http.Request) { r.URL.RawQuery = "a\x7f" }, false},
		{"a host of its own", func(r *http.Request) { r.Host = "aAzZ_09-1.example:80" }, true},
		{"the host of the URL", func(r *http.Request) { r.Host = "" }, true},
		{"a target that is no path", func(r *http.Request) { r.URL.Opaque = "x" }, false},
		{"an IDNA name", func(r *http.Request) { r.Host = "bücher.example" }, false},
		{"an address with a zone", func(r *http.Request) { r.Host = "[fe80::1%eth0]:80" }, false},
		{"an address of version 6", func(r *http.Request) { r.Host = "[fe80::1]:80" }, true},
		{"a client without a name", func(r *http.Request) { r.Header = http.Header{} }, false},
		{"a client that gives none", func(r *http.Request) { r.Header["User-Agent"] = []string{""} }, true},
	} {
		r, err := http.NewRequest("GET", "http://127.0.0.1:1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "test")
		row.change(r)
		if got := Takes(r); got != row.want {
			t.Errorf("%s: taken: %v, want %v", row.name, got, row.want)
		}
	}
}

// A connection that the upstream has closed, or on which it has said something
// that nobody asked for, is no more used: the next request has its own answer.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	const secret = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"
	for _, row := range []struct {
		name    string
		answers []string
		conns   []int
	}{
		{"kept", []string{ok, ok}, []int{0, 0}},
		{"closed", []string{ok + drop}, []int{0, 1}},
		{"an answer too many, at once", []string{ok + secret, ok}, []int{0, 1}},
		{"a byte too many", []string{ok + "\n", ok}, []int{0, 1}},
		{"closed without an answer to the second", []string{ok, ""}, []int{0, 0, 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			u := startUpstream(t, row.answers...)
			s := newShort(t)
			for i := range 2 {
				if a := ask(t, s, "GET", u.url()); a.Failed || a.Body != "ok" {
					t.Errorf("request %d: %+v, want ok", i+1, a)
				}
			}
			if _, conns := u.asked(); !slices.Equal(conns, row.conns) {
				t.Errorf("the requests came over connections %v, want %v", conns, row.conns)
			}
		})
	}
}

// A request that has been answered, however badly, isn't sent again.
func TestBadAnswerLater(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, ok, "HTTP/1.1 2x0 OK\r\n\r\n"+drop)
	s := newShort(t)
	ask(t, s, "GET", u.url())
	if a := ask(t, s, "GET", u.url()); !a.Failed {
		t.Errorf("answered %+v", a)
	}
	if _, conns := u.asked(); !slices.Equal(conns, []int{0, 0}) {
		t.Errorf("the requests came over connections %v, want one", conns)
	}
}

// A connection that can't be looked at isn't kept.
func TestBlindConnection(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, ok, ok)
	s := newShort(t)
	s.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := s.dial(ctx, network, addr)
		return struct{ net.Conn }{c}, err
	}
	for range 2 {
		if a := ask(t, s, "GET", u.url()); a.Body != "ok" {
			t.Errorf("answered %+v, want ok", a)
		}
	}
	if _, conns := u.asked(); !slices.Equal(conns, []int{0, 1}) {
		t.Errorf("the requests came over connections %v, want two", conns)
	}
}

// A body at its end stays there until it is closed.
func TestEndOfBody(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequest("GET", startUpstream(t, ok).url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	res, err := newShort(t).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, want := range []string{"ok", "", ""} {
		if b, err := io.ReadAll(res.Body); string(b) != want || err != nil {
			t.Errorf("read %q, %v, want %q", b, err, want)
		}
	}
}

// What arrives on an idle connection, when the answer has been read long since.
func TestUnaskedLater(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, ok, ok)
	s := newShort(t)
	ask(t, s, "GET", u.url())
	u.mu.Lock()
	io.WriteString(u.open[0], "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
	u.mu.Unlock()
	s.idle.mu.Lock()
	c := s.idle.conns[key{"tcp", u.listener.Addr().String()}][0]
	s.idle.mu.Unlock()
	for c.idle() { // until it has arrived
		time.Sleep(time.Millisecond)
	}
	if a := ask(t, s, "GET", u.url()); a.Body != "ok" {
		t.Errorf("the next request is answered %+v, want ok", a)
	}
	if _, conns := u.asked(); !slices.Equal(conns, []int{0, 1}) {
		t.Errorf("the requests came over connections %v, want two", conns)
	}
}

// A header longer than allowed is an error, with however many answers it comes.
func TestHeaderBound(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"one header":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20_000) + "\r\n\r\n",
		"many hints":  strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 1000)+"\r\n\r\n", 20) + ok,
		"no line end": strings.Repeat("x", 20_000),
	} {
		s := newShort(t)
		s.MaxHeaderBytes = 10_000
		r, err := http.NewRequest("GET", startUpstream(t, answer+drop).url(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "test")
		if _, err := s.RoundTrip(r); err == nil || strings.Contains(answer, "\n") && !errors.Is(err, errHeaderTooLong) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	s := newShort(t)
	s.MaxHeaderBytes = 10_000
	long := strings.Repeat("x", 1<<20)
	if a := ask(t, s, "GET", startUpstream(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long)).url()); a.Body != long {
		t.Errorf("a body longer than a header may be is cut to %d bytes", len(a.Body))
	}
}

// When the client goes, the upstream is no longer waited for, and hears of it.
func TestCancel(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for _, row := range []struct {
		name   string
		answer string
		body   bool // the answer's header comes
	}{
		{"before the answer", "HTTP/1.1 200 ", false},
		{"in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true},
		{"in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			came, left := make(chan struct{}), make(chan struct{})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				defer close(left)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				r := bufio.NewReader(c)
				r.ReadString('\n')
				io.WriteString(c, row.answer)
				close(came)
				io.Copy(io.Discard, r) // until the other side closes
			}()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			go func() {
				<-came
				if !row.body {
					cancel(gone)
				}
			}()
			r, err := http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("User-Agent", "test")
			res, err := newShort(t).RoundTrip(r)
			if row.body {
				if err != nil {
					t.Fatal(err)
				}
				if _, err = io.ReadFull(res.Body, make([]byte, 4)); err != nil {
					t.Fatal(err)
				}
				cancel(gone)
				_, err = io.ReadAll(res.Body)
			}
			if !errors.Is(err, gone) {
				t.Errorf("got %v, want why the context ended", err)
			}
			<-left
		})
	}
}

// An answer without a body leaves the connection at once, also if nobody reads it.
func TestNoBody(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, "HTTP/1.1 204 No Content\r\n\r\n", ok)
	s := newShort(t)
	r, err := http.NewRequest("GET", u.url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	for range 2 {
		res, err := s.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if _, conns := u.asked(); !slices.Equal(conns, []int{0, 0}) {
		t.Errorf("the requests came over connections %v, want one", conns)
	}
}

// A request that can't be written to a kept connection goes over another.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, ok, ok)
	s := newShort(t)
	s.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := s.dial(ctx, network, addr)
		return &once{c.(*closable), false}, err
	}
	for range 2 {
		if a := ask(t, s, "GET", u.url()); a.Body != "ok" {
			t.Errorf("answered %+v, want ok", a)
		}
	}
	if _, conns := u.asked(); !slices.Equal(conns, []int{0, 1}) {
		t.Errorf("the requests came over connections %v, want two", conns)
	}
}

// once is a connection that can be written to once.
type once struct {
	*closable
	written bool
}

func (c *once) Write(p []byte) (int, error) {
	if c.written {
		return 0, errors.New("written already")
	}
	c.written = true
	return c.closable.Write(p)
}

// For a client that has gone already, no connection is made.
func TestCanceled(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	r, err := http.NewRequestWithContext(ctx, "GET", startUpstream(t, ok).url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	if _, err := newShort(t).RoundTrip(r); !errors.Is(err, gone) {
		t.Errorf("got %v, want why the context ended", err)
	}
}

// A body may be closed before its end, and while a Read waits for more.
func TestCloseBody(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", ok)
	s := newShort(t)
	r, err := http.NewRequest("GET", u.url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	res, err := s.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := res.Body.Read(make([]byte, 1))
		read <- err
	}()
	res.Body.Close()
	if err := <-read; err == nil {
		t.Error("a Read that waited when the body was closed returns no error")
	}
	if _, err := res.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("Read after Close: %v", err)
	}
	next, err := s.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	next.Body.Close()
	if _, conns := u.asked(); !slices.Equal(conns, []int{0, 1}) {
		t.Errorf("the requests came over connections %v, want two", conns)
	}
}

// Idle connections are closed when they are old, too many, or no longer wanted.
func TestPool(t *testing.T) {
	t.Parallel()
	closed := func(t *testing.T, c net.Conn) {
		t.Helper()
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection isn't closed: %v", err)
		}
	}
	conns := func(t *testing.T, p *pool, n int) (theirs []net.Conn, ours []*conn) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for range n {
			nc, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			their, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close(); their.Close() })
			c := &conn{Conn: nc}
			c.watch()
			theirs, ours = append(theirs, their), append(ours, c)
		}
		return theirs, ours
	}
	t.Run("old", func(t *testing.T) {
		t.Parallel()
		var p pool
		theirs, ours := conns(t, &p, 2)
		p.put(ours[0], 9, time.Millisecond)
		closed(t, theirs[0])
		p.put(ours[1], 9, time.Millisecond) // the timer is set again
		closed(t, theirs[1])
	})
	t.Run("too many", func(t *testing.T) {
		t.Parallel()
		var p pool
		theirs, ours := conns(t, &p, 3)
		p.put(ours[0], 2, time.Hour)
		sweep := p.sweep
		for _, c := range ours[1:] {
			p.put(c, 2, time.Hour)
		}
		if p.sweep != sweep {
			t.Error("there is more than one timer")
		}
		closed(t, theirs[2])
		if c := p.take(key{}, time.Hour); c != ours[1] {
			t.Errorf("taken: %p, want the one used last", c)
		}
		p.close()
		closed(t, theirs[0])
	})
	t.Run("some of them old", func(t *testing.T) {
		t.Parallel()
		var p pool
		theirs, ours := conns(t, &p, 5)
		now, mixed, gone, young := time.Now(), key{"tcp", "mixed"}, key{"tcp", "gone"}, key{"tcp", "young"}
		for i, at := range []key{mixed, mixed, gone, young, young} {
			ours[i].key = at
			p.put(ours[i], 9, 0)
		}
		if p.sweep != nil {
			t.Error("those that are kept for ever are swept")
		}
		for i, age := range []time.Duration{3, 1, 2, 1, 0} {
			ours[i].kept = now.Add(-age * time.Minute)
		}
		p.clean(2 * time.Minute)
		closed(t, theirs[0])
		closed(t, theirs[2])
		if p.sweep == nil || !p.sweep.Stop() {
			t.Error("for those that aren't old yet, nothing comes again")
		}
		if len(p.conns) != 2 || !slices.Equal(p.conns[mixed], ours[1:2]) || !slices.Equal(p.conns[young], ours[3:]) {
			t.Errorf("kept: %v", p.conns)
		}
		for _, c := range []*conn{ours[1], ours[4], ours[3]} {
			if got := p.take(c.key, 2*time.Minute); got != c {
				t.Errorf("taken: %p, want %p", got, c)
			}
		}
		p.clean(2 * time.Minute)
		if len(p.conns) > 0 || p.sweep != nil {
			t.Errorf("of those that are gone, %v are kept", p.conns)
		}
		p.put(ours[1], 9, 0)
		ours[1].kept = now.Add(-time.Minute)
		if got := p.take(mixed, time.Minute); got != nil {
			t.Error("one is taken that is too old")
		}
		closed(t, theirs[1])
		p.put(ours[3], 9, 0)
		ours[3].Close()
		if got := p.take(young, 0); got != nil {
			t.Error("one is taken that is closed")
		}
	})
	t.Run("no longer wanted", func(t *testing.T) {
		t.Parallel()
		var p pool
		theirs, ours := conns(t, &p, 2)
		p.put(ours[0], 9, time.Hour)
		p.close()
		closed(t, theirs[0])
		p.put(ours[1], 9, time.Hour)
		closed(t, theirs[1])
		if c := p.take(key{}, time.Hour); c != nil {
			t.Error("a closed pool has connections")
		}
	})
}

// Many clients at once, some of whom leave: everyone has their own answer.
func TestEveryoneHasTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Chunked") != "" {
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, strings.Repeat(r.URL.Path, 100))
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	s := newShort(t)
	done := make(chan error)
	const clients, each = 16, 200
	for n := range clients {
		go func() {
			for i := range each {
				if err := askAndLeave(t.Context(), s, l.Addr().String(), n, i); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// askAndLeave asks for a path of its own; now and then the client leaves, or
// reads only the beginning.
func askAndLeave(ctx context.Context, s *short, addr string, n, i int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://%s/%d-%d", addr, n, i), nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "test")
	if i%2 == 0 {
		r.Header.Set("X-Chunked", "1")
	}
	if i%5 == 0 {
		go cancel()
	}
	res, err := s.RoundTrip(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer res.Body.Close()
	want := strings.Repeat(r.URL.Path, 100)
	if i%7 == 0 {
		want = want[:5]
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, int64(len(want))))
	if ctx.Err() == nil && (err != nil || string(b) != want) {
		return fmt.Errorf("%s is answered with %.20s, %w", r.URL.Path, b, err)
	}
	return nil
}
