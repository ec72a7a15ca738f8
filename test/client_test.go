package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// request is a request to be sent exactly as it stands.
type request struct {
	method string // "": GET
	host   string // "": api.test
	target string
	header []string // "Name: value"
	body   string
	// trailer makes the body chunked and follows it.
	trailer []string
}

// with returns the request with more header lines.
func (r request) with(header ...string) request {
	r.header = append(append([]string(nil), r.header...), header...)
	return r
}

func (r request) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", r.verb(), r.target, strings.Join(r.header, ", ")))
}

func (r request) verb() string {
	if r.method == "" {
		return "GET"
	}
	return r.method
}

func (r request) authority() string {
	if r.host == "" {
		return "api.test"
	}
	return r.host
}

// http1 returns the request's bytes in HTTP/1.1.
func (r request) http1() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.verb(), r.target, r.authority())
	for _, line := range r.header {
		b.WriteString(line + "\r\n")
	}
	switch {
	case r.trailer != nil:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n%s\r\n\r\n", len(r.body), r.body, strings.Join(r.trailer, "\r\n"))
	case r.body != "":
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.body), r.body)
	default:
		b.WriteString("\r\n")
	}
	return b.String()
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    string
	problem struct {
		Type, Title, Detail, Reason, Space string
		Status                             int
		RequiredScope                      string `json:"required_scope"`
	}
}

func (a *answer) String() string {
	return fmt.Sprintf("%d %s", a.status, a.problem.Reason)
}

// verdict is forward, a reason, or the status of an answer that isn't patgate's.
func (a *answer) verdict() string {
	switch {
	case a.header.Get("X-Served") != "":
		return "forward"
	case a.problem.Reason != "":
		return a.problem.Reason
	}
	return fmt.Sprint(a.status)
}

func (g *gateway) newAnswer(status int, header http.Header, body []byte) *answer {
	var all bytes.Buffer
	header.Write(&all)
	all.Write(body)
	g.saw(all.Bytes())
	a := &answer{status: status, header: header, body: string(body)}
	if header.Get("Content-Type") == "application/problem+json" {
		json.Unmarshal(body, &a.problem) // a body that isn't what it says leaves the reason empty
	}
	return a
}

// dial connects to the gateway.
func (g *gateway) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// send sends a request over a connection of its own in HTTP/1.1.
func (g *gateway) send(t testing.TB, r request) *answer {
	t.Helper()
	a, err := g.raw(t, r.http1(), r.verb())
	if err != nil && g.reloaded.Load() {
		// Caddy closes what has just come in for the configuration before.
		a, err = g.raw(t, r.http1(), r.verb())
	}
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	return a
}

// raw sends bytes and reads the answer to the request with this method.
func (g *gateway) raw(t testing.TB, bytes, method string) (*answer, error) {
	t.Helper()
	c := g.dial(t)
	defer c.Close()
	if _, err := io.WriteString(c, bytes); err != nil {
		return nil, err
	}
	return g.read(bufio.NewReader(c), method)
}

// read reads the answer to a request with this method.
func (g *gateway) read(r *bufio.Reader, method string) (*answer, error) {
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return g.newAnswer(resp.StatusCode, resp.Header, nil), nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return g.newAnswer(resp.StatusCode, resp.Header, body), nil
}

// bearer is the header line that carries the secret of the token with this name.
func (g *gateway) bearer(name string) string { return bearerOf(g.secret(name)) }

// bearerOf is the header line that carries a secret.
func bearerOf(secret string) string { return "Authorization: Bearer " + secret }

// version is a version of HTTP, and how a request is sent in it.
type version struct {
	name string
	send func(testing.TB, request) *answer
}

// versions are those that every gateway speaks.
func (g *gateway) versions() []version { return []version{{"HTTP/1.1", g.send}, {"HTTP/2", g.send2}} }

// secret returns the secret of the token with this name.
func (g *gateway) secret(name string) string {
	secret, ok := g.secrets[name]
	if !ok {
		panic("no token " + name)
	}
	return secret
}

// session is a client with a connection that it keeps.
type session struct {
	g      *gateway
	client *http.Client
}

func (g *gateway) session(t *testing.T) *session {
	tr := &http.Transport{MaxIdleConnsPerHost: 1}
	t.Cleanup(tr.CloseIdleConnections)
	return &session{g, &http.Client{Timeout: patience, Transport: tr}}
}

// get returns the status a request for target is answered with.
func (s *session) get(target, secret string) (int, error) {
	req, err := http.NewRequest("GET", "http://"+s.g.addr+target, nil)
	if err != nil {
		return 0, err
	}
	req.Host = "api.test"
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// persist is get, again as long as the server closes the connection: Caddy does
// that to kept and to new ones when it reloads.
func (s *session) persist(target, secret string) (status int, err error) {
	for range 10 {
		if status, err = s.get(target, secret); err == nil || !closedByServer(err) {
			break
		}
	}
	return status, err
}

// closedByServer reports whether err is what a client sees of a kept connection
// that the server has closed.
func closedByServer(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
}
