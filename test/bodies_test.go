package test

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// An API that begins to answer while a body of unknown length is still on its way gets
// all of it, and the connection goes on after it.
func TestAnswerBeforeTheBodyHasCome(t *testing.T) {
	t.Parallel()
	begun := make(chan bool, 4)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		c.Flush()
		begun <- true
		sum := sha256.New()
		io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%x", sum.Sum(nil))
	}))
	t.Cleanup(api.Close)
	const gate = "patgate {\ndefault public\n}\nreverse_proxy UPSTREAM"
	g := start(t, setup{sites: strings.ReplaceAll("http://api.test:{$PORT} {\n"+gate+"\n}\nhttp://short.test:{$PORT} {\n"+gate+" {\ntransport patgate\n}\n}\n", "UPSTREAM", api.Listener.Addr().String())})
	var body strings.Builder
	for i := range 1 << 18 {
		fmt.Fprintf(&body, "%08x", i)
	}
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(body.String())))
	for _, host := range []string{"api.test", "short.test"} {
		c := g.dial(t)
		t.Cleanup(func() { c.Close() }) // or the API would wait for the rest
		r := bufio.NewReader(c)
		for range 2 {
			io.WriteString(c, "POST /x HTTP/1.1\r\nHost: "+host+"\r\nTransfer-Encoding: chunked\r\n\r\n")
			<-begun
			go fmt.Fprintf(c, "%x\r\n%s\r\n0\r\n\r\n", body.Len(), body.String())
			a, err := g.read(r, "POST")
			if err != nil {
				t.Fatalf("%s: %v", host, err)
			}
			if a.body != want {
				t.Errorf("%s: the API got another body than was sent", host)
			}
		}
	}
}

// What an API hasn't read of a body isn't taken for the next request.
func TestUnreadBodyIsNoRequest(t *testing.T) {
	t.Parallel()
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	go func() {
		for {
			c, err := api.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
			}
		}
	}()
	const inner = "GET /inner HTTP/1.1\r\nHost: api.test\r\n\r\n"
	long := strings.Repeat(inner, 1<<19) // more than sockets hold
	for _, global := range []string{"", "servers {\nenable_full_duplex\n}"} {
		g := start(t, setup{global: global, sites: "http://api.test:{$PORT} {\npatgate {\ndefault public\n}\nreverse_proxy " + api.Addr().String() + "\n}"})
		for name, rest := range map[string]string{
			"length":     fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(long), long),
			"chunked":    fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long),
			"misframed":  "Transfer-Encoding: chunked\r\n\r\nx\r\n" + inner,
			"all of one": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(inner), inner),
		} {
			c := g.dial(t)
			go io.WriteString(c, "POST /x HTTP/1.1\r\nHost: api.test\r\n"+rest) // the gateway closes before it has read all
			r := bufio.NewReader(c)
			if a, err := g.read(r, "POST"); err != nil {
				t.Errorf("%s, %s: %v %v", global, name, a, err)
			}
			if name == "all of one" {
				io.WriteString(c, "GET /next HTTP/1.1\r\nHost: api.test\r\n\r\n")
				if a, err := g.read(r, "GET"); err != nil || a.status != 200 {
					t.Errorf("%s, %s: the connection doesn't go on: %v %v", global, name, a, err)
				}
			} else if a, err := g.read(r, "GET"); err == nil {
				t.Errorf("%s, %s: a part of the body was answered: %v", global, name, a)
			}
			c.Close()
		}
	}
}

// The body of a HEAD means nothing. It isn't sent to the API, which may take it for a
// request, and is none to the gateway.
func TestBodyOfHead(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: "http://api.test:{$PORT} {\npatgate {\ndefault public\n}\nreverse_proxy {$UPSTREAM}\n}"})
	const inner = "GET /inner HTTP/1.1\r\nHost: api.test\r\n\r\n"
	head := request{method: "HEAD", target: "/x", body: inner}
	for _, r := range []request{head, head.with("Expect: 100-continue"), {method: "HEAD", target: "/x", body: inner, trailer: []string{"X-Trailer: x"}}} {
		for _, v := range g.versions() {
			a := v.send(t, r)
			got := g.upstream.take()
			if a.status != 200 || len(got) != 1 || strings.Contains(got[0].raw, "inner") || got[0].line("Content-Length")+got[0].line("Transfer-Encoding")+got[0].line("Expect") != "" {
				t.Errorf("%s, %+v: %v, forwarded as %+v", v.name, r, a, got)
			}
		}
	}
	c := g.dial(t)
	defer c.Close()
	io.WriteString(c, head.http1()+"GET /next HTTP/1.1\r\nHost: api.test\r\n\r\n")
	r := bufio.NewReader(c)
	for _, method := range []string{"HEAD", "GET"} {
		if a, err := g.read(r, method); err != nil || a.status != 200 {
			t.Errorf("%s on one connection: %v %v", method, a, err)
		}
	}
	if got := g.upstream.take(); len(got) != 2 || got[1].target != "/next" {
		t.Errorf("after a HEAD with a body, forwarded: %+v", got)
	}
}

// Error routes get the body of a request that has failed before any of it was read.
func TestBodyOfFailedRequest(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	t.Cleanup(api.Close)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	g := start(t, setup{sites: "http://api.test:{$PORT} {\npatgate {\ndefault public\n}\nreverse_proxy " + nobody.Addr().String() +
		"\nhandle_errors {\nreverse_proxy " + api.Listener.Addr().String() + "\n}\n}"})
	for _, body := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"} {
		c := g.dial(t)
		io.WriteString(c, "POST /x HTTP/1.1\r\nHost: api.test\r\n"+body)
		if a, err := g.read(bufio.NewReader(c), "POST"); err != nil || a.body != "hello" {
			t.Errorf("%q: the error routes' API got %v %v", body, a, err)
		}
		c.Close()
	}
}

// A rejected request with a body doesn't confuse the connection: what follows is
// read as the next request, and nothing of it is forwarded.
func TestRejectedBody(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites:  "http://api.test:{$PORT} {\n\tpatgate {\n\t\troute GET,POST /x any\n\t}\n\treverse_proxy {$UPSTREAM}\n}",
		tokens: []known{{name: "full"}},
	})
	inner := request{target: "/x"}.with(g.bearer("full")).http1()
	for _, row := range []struct{ name, first string }{
		{"length", fmt.Sprintf("POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner)},
		{"chunked", fmt.Sprintf("POST /x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(inner), inner)},
		{"large", fmt.Sprintf("POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat(inner, 1<<20/len(inner)+1)[:1<<20])},
		{"expect", fmt.Sprintf("POST /x HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner)},
		{"no method", fmt.Sprintf("BREW /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner)},
	} {
		c := g.dial(t)
		go io.WriteString(c, row.first+inner) // the gateway may close before it has read all
		r := bufio.NewReader(c)
		a, err := g.read(r, "POST")
		if err != nil || a.status == 200 {
			t.Errorf("%s: %v %v, want a rejection", row.name, a, err)
		}
		// Either the connection goes on with the request after the body, or it ends.
		served := 0
		for {
			a, err := g.read(r, "GET")
			if err != nil {
				break
			}
			if a.status == 200 {
				served++
			}
			if served > 0 {
				break
			}
		}
		c.Close()
		if got := g.upstream.take(); len(got) != served || served > 1 {
			t.Errorf("%s: the upstream got %d requests, the client %d answers to its second request", row.name, len(got), served)
		}
	}
}

// A client that reads nothing before it has sent a long body sees why it was turned
// away: its connection isn't reset beneath it.
func TestRejectionIsReadBehindALongBody(t *testing.T) {
	t.Parallel()
	const gate = "\tpatgate {\n\t\troute POST /x any\n\t}\n\treverse_proxy {$UPSTREAM}\n"
	g := start(t, setup{
		sites: "http://api.test:{$PORT} {\n" + gate + "}\n" +
			"http://errors.test:{$PORT} {\n" + gate + "\thandle_errors {\n\t\trespond \"turned away\"\n\t}\n}",
	})
	piece := strings.Repeat("x", 1<<20)
	for _, host := range []string{"api.test", "errors.test"} {
		for _, framing := range []string{"Content-Length: 33554432", "Transfer-Encoding: chunked"} {
			c := g.dial(t)
			if _, err := io.WriteString(c, "POST /x HTTP/1.1\r\nHost: "+host+"\r\n"+framing+"\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			for range 32 {
				text := piece
				if strings.HasSuffix(framing, "chunked") {
					text = fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece)
				}
				if _, err := io.WriteString(c, text); err != nil {
					t.Fatalf("%s, %s: while the body is sent: %v", host, framing, err)
				}
			}
			if strings.HasSuffix(framing, "chunked") {
				io.WriteString(c, "0\r\n\r\n")
			}
			if a, err := g.read(bufio.NewReader(c), "POST"); err != nil || a.status != 401 {
				t.Errorf("%s, %s: %v %v, want 401", host, framing, a, err)
			}
			c.Close()
		}
	}
}

// A client that doesn't send what it has announced is turned away all the same, and its
// connection isn't kept for that.
func TestRejectionOfBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	const gate = "\tpatgate {\n\t\troute POST /x any\n\t}\n\treverse_proxy {$UPSTREAM}\n"
	sites := "http://api.test:{$PORT} {\n" + gate + "}\n" +
		"http://errors.test:{$PORT} {\n" + gate + "\thandle_errors {\n\t\trespond \"turned away\"\n\t}\n}"
	g, duplex := start(t, setup{sites: sites}), start(t, setup{sites: sites, global: "servers {\n\tenable_full_duplex\n}"})
	for _, lines := range []string{
		"Content-Length: 1000\r\n\r\n",
		"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
		"Content-Length: 1000000\r\n\r\nx",
		"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
	} {
		for _, host := range []string{"api.test", "errors.test", "api.test over full duplex"} {
			t.Run(host+" "+strings.Fields(lines)[1], func(t *testing.T) {
				t.Parallel()
				g := g
				host, over, _ := strings.Cut(host, " ")
				if over != "" {
					g = duplex
				}
				c := g.dial(t)
				defer c.Close()
				if _, err := io.WriteString(c, "POST /x HTTP/1.1\r\nHost: "+host+"\r\n"+lines); err != nil {
					t.Fatal(err)
				}
				r := bufio.NewReader(c)
				a, err := g.read(r, "POST")
				if err != nil || a.status != 401 {
					t.Errorf("%q: %v %v, want 401", lines, a, err)
				}
				if _, err := r.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%q: the connection goes on (%v)", lines, err)
				}
			})
		}
	}
}

// A large body that a refused request brings along is not waited for; for a small
// one the connection is kept.
func TestRefusedBodies(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: plainSite})
	for _, framing := range []string{"Content-Length: 1000000000", "Transfer-Encoding: chunked"} {
		c := g.dial(t)
		defer c.Close()
		fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: api.test\r\n%s\r\n\r\n", framing)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusForbidden || !resp.Close {
			t.Errorf("%s: %v %v, want 403 at once, and the connection closed", framing, resp, err)
		}
	}
	c := g.dial(t)
	defer c.Close()
	r := bufio.NewReader(c)
	for range 3 {
		io.WriteString(c, request{method: "POST", target: "/x", body: strings.Repeat("x", 10_000)}.http1())
		if a, err := g.read(r, "POST"); err != nil || a.status != http.StatusForbidden {
			t.Fatalf("a small body: %v %v", a, err)
		}
	}
}
