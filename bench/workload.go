package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/patgate/patgate/token"
)

// The API that is guarded: kinds of things in spaces, with four routes each.
const (
	kinds  = 50
	spaces = 500
	owners = 1000
)

// workload is the tokens in use, and what is asked with them.
type workload struct {
	tokens  []string // secrets
	unknown []string // secrets that no token has
}

func newWorkload(tokens int) workload {
	return workload{tokens: secrets(tokens), unknown: secrets(min(tokens, 1000))}
}

func secrets(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = token.NewSecret("pat")
	}
	return list
}

// policy returns the Caddyfile's directive.
func (workload) policy() string {
	var b strings.Builder
	b.WriteString("patgate {\n\trealm bench\n\tgroup /v1/spaces/{space} {\n")
	for k := range kinds {
		fmt.Fprintf(&b, "\t\troute GET /kind%d kind%d:read\n", k, k)
		fmt.Fprintf(&b, "\t\troute POST /kind%d kind%d:write\n", k, k)
		fmt.Fprintf(&b, "\t\troute GET /kind%d/{id} kind%d:read\n", k, k)
		fmt.Fprintf(&b, "\t\troute PUT,DELETE /kind%d/{id} kind%d:write\n", k, k)
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

// export returns the tokens in the form they are imported in: each may read
// everything in one space.
func (w workload) export() string {
	var b strings.Builder
	for i, secret := range w.tokens {
		fmt.Fprintf(&b, `{"id":"%s","name":"bench %d","secret":"%s","owner":"owner-%d","grants":[{"spaces":["%s"],"scopes":["*:read"],"resources":["*"]}]}`+"\n",
			tokenID(i), i, secret, i%owners, space(i))
	}
	return b.String()
}

// tokenID is the id of the i-th token.
func tokenID(i int) string { return fmt.Sprintf("bench-%d", i) }

// space is the space of the i-th token.
func space(i int) string { return fmt.Sprintf("space-%d", i%spaces) }

// scenario is a kind of request, and how patgate is to answer it. Plain Caddy
// forwards everything.
type scenario struct {
	name     string
	requests [][]byte
	status   int
}

func (w workload) scenarios() []scenario {
	// Where everything is rejected, one token stands for all.
	return []scenario{
		{"forwarded, one token", ask(http.MethodGet, w.tokens[:1]), http.StatusOK},
		{fmt.Sprintf("forwarded, %d tokens", len(w.tokens)), ask(http.MethodGet, w.tokens), http.StatusOK},
		{"rejected, scope missing", ask(http.MethodDelete, w.tokens), http.StatusForbidden},
		{"rejected, token unknown", ask(http.MethodGet, w.unknown), http.StatusUnauthorized},
		{"rejected, token missing", ask(http.MethodGet, []string{""}), http.StatusUnauthorized},
	}
}

// ask makes a request for each token, in its space, with the headers that fetch
// of Node.js sends; without Authorization for an empty token.
func ask(method string, tokens []string) [][]byte {
	requests := make([][]byte, len(tokens))
	for i, secret := range tokens {
		var b strings.Builder
		fmt.Fprintf(&b, "%s /v1/spaces/%s/kind%d/%d HTTP/1.1\r\n", method, space(i), i%kinds, i)
		b.WriteString("Host: api.test\r\nConnection: keep-alive\r\nAccept: */*\r\nAccept-Language: *\r\n" +
			"Sec-Fetch-Mode: cors\r\nUser-Agent: node\r\nAccept-Encoding: gzip, deflate\r\n")
		if secret != "" {
			b.WriteString("Authorization: Bearer " + secret + "\r\n")
		}
		b.WriteString("\r\n")
		requests[i] = []byte(b.String())
	}
	return requests
}
