package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// reload has the gateway take over another setup, but for its tokens and owners.
func (g *gateway) reload(t *testing.T, s setup) error {
	t.Helper()
	g.configure(t, s)
	body, err := os.ReadFile(g.file)
	if err != nil {
		return err
	}
	g.reloaded.Store(true)
	status, answer, err := g.load("text/caddyfile", body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("reloading: %d %s", status, answer)
	}
	return err
}

// load has the gateway take over a configuration, even if it has that already.
// While Caddy moves its admin endpoint from one configuration to the next,
// connections to it may break; then it is asked again.
func (g *gateway) load(contentType string, body []byte) (status int, answer string, err error) {
	for range 10 {
		req, err := http.NewRequest("POST", "http://localhost/load", bytes.NewReader(body))
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Cache-Control", "must-revalidate")
		var resp *http.Response
		if resp, err = g.client.Do(req); err != nil {
			continue
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			return resp.StatusCode, string(b), nil
		}
	}
	return 0, "", errors.New("the admin endpoint doesn't answer")
}

// call calls the admin endpoint. The answer is decoded into answer unless nil.
func (g *gateway) call(t *testing.T, method, path, body string, answer any) int {
	t.Helper()
	req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(b, answer); err != nil {
			t.Fatalf("%s %s: %d %s: %v", method, path, resp.StatusCode, b, err)
		}
	}
	return resp.StatusCode
}

// get reads from the admin endpoint, again where that is just moving (see load).
func (g *gateway) get(t *testing.T, path string) []byte {
	t.Helper()
	var err error
	for range 10 {
		var resp *http.Response
		if resp, err = g.client.Get("http://localhost" + path); err != nil {
			continue
		}
		var b []byte
		b, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			return b
		}
	}
	t.Fatal(err)
	return nil
}

// metrics returns the gateway's metrics by name and labels, as they are written.
func (g *gateway) metrics(t *testing.T) map[string]string {
	t.Helper()
	b := g.get(t, "/metrics")
	g.saw(b)
	values := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			values[line[:i]] = strings.TrimSpace(line[i+1:])
		}
	}
	return values
}

// ok calls the admin endpoint, which must do what it is asked.
func (g *gateway) ok(t *testing.T, method, path, body string) {
	t.Helper()
	if status := g.call(t, method, path, body, nil); status != 200 && status != 204 {
		t.Fatalf("%s %s: %d", method, path, status)
	}
}

// created is the API's answer to a new token.
type created struct {
	Token  struct{ ID string }
	Secret string
}

// create makes a token through the admin API.
func (g *gateway) create(t *testing.T, body string) created {
	t.Helper()
	var c created
	if status := g.call(t, "POST", "/patgate/tokens", body, &c); status != http.StatusCreated {
		t.Fatalf("making a token: %d", status)
	}
	g.mu.Lock()
	g.secrets[c.Token.ID] = c.Secret
	g.mu.Unlock()
	return c
}

// tokenJSON is what the tests read of a token.
type tokenJSON struct {
	ID         string
	Status     string
	Grants     []struct{ Scopes []string }
	LastUsedAt *time.Time `json:"last_used_at"`
	LastUsedIP *string    `json:"last_used_ip"`
}

// token returns what is said of a token.
func (g *gateway) token(t *testing.T, id string) (tok tokenJSON) {
	t.Helper()
	if err := json.Unmarshal(g.get(t, "/patgate/tokens/"+id), &tok); err != nil {
		t.Fatal(err)
	}
	return tok
}

// eventJSON is an event of the audit trail.
type eventJSON struct {
	Time      time.Time
	ActorKind string `json:"actor_kind"`
	Actor     string
	Address   string
	Action    string
	TokenID   string `json:"token_id"`
	Detail    string
	Changes   []struct{ Field, Before, After string }
}

// events returns a token's events, newest first.
func (g *gateway) events(t *testing.T, id string) []eventJSON {
	t.Helper()
	var page struct{ Events []eventJSON }
	if err := json.Unmarshal(g.get(t, "/patgate/events?token="+id), &page); err != nil {
		t.Fatal(err)
	}
	return page.Events
}

// actions writes what events say was done.
func actions(events []eventJSON) string {
	var words []string
	for _, e := range events {
		words = append(words, e.Action)
	}
	return strings.Join(words, " ")
}

func (g *gateway) position(t *testing.T) (n uint64) {
	t.Helper()
	var status struct{ Store struct{ Position uint64 } }
	if err := json.Unmarshal(g.get(t, "/patgate/status"), &status); err != nil {
		t.Fatal(err)
	}
	return status.Store.Position
}
