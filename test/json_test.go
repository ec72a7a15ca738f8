package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/output"
)

// Native JSON is the same configuration as the Caddyfile it was adapted from.
func TestNativeJSON(t *testing.T) {
	t.Parallel()
	s := setup{
		options: "scopes {\n\tstories:read\n\tstories:write implies stories:read\n}\nunknown_token_limit off",
		sites: `
http://api.test:{$PORT} {
	patgate {
		token_from bearer
		token_from query api_key
		forward_token strip
		identity_headers {
			owner Remote-User
		}
		route GET /stories?draft stories:write
		group /spaces/{space} {
			route GET /stories stories:read
			route * /{file} any {
				optional
			}
		}
	}
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{{name: "reader", owner: "alice", grants: grant("1", "stories:read", "*")}},
	}
	g := start(t, s)
	ask := func() (all []string) {
		for _, r := range []request{
			{target: "/spaces/1/stories"}, {target: "/spaces/2/stories"}, {target: "/stories"}, {target: "/spaces/1/x"}, {target: "/spaces/1/../x"},
		} {
			for _, with := range []request{r, r.with(g.bearer("reader")), {target: r.target + "?api_key=" + g.secret("reader")}, {target: r.target + "?draft&api_key=" + g.secret("reader")}} {
				a := g.send(t, with)
				line := a.verdict()
				for _, got := range g.upstream.take() {
					line += " " + got.target + " " + fmt.Sprint(identityOf(&got, "Remote-User"))
				}
				all = append(all, line)
			}
		}
		return all
	}
	before := ask()
	out, err := g.command("adapt", "--config", g.file, "--adapter", "caddyfile")
	if err != nil {
		t.Fatalf("adapting: %v", err)
	}
	g.stop()
	g.file = filepath.Join(g.dir, "caddy.json")
	if err := os.WriteFile(g.file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	g.log = new(output.Buffer)
	if err := g.launch(t, "run", "--config", g.file); err != nil {
		t.Fatalf("starting with JSON: %v", err)
	}
	after := ask()
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("Caddyfile: %s, JSON: %s", before[i], after[i])
		}
	}
	// What is unknown in it is refused, with its name.
	for field, broken := range map[string]string{
		"realmm": strings.Replace(out, `"handler":"patgate"`, `"handler":"patgate","realmm":"x"`, 1),
		"stores": strings.Replace(out, `"patgate":{`, `"patgate":{"stores":{},`, 1),
	} {
		status, answer, err := g.load("application/json", []byte(broken))
		if err != nil || status != http.StatusBadRequest || !strings.Contains(answer, field) {
			t.Errorf("an unknown field %s: %d %s %v", field, status, answer, err)
		}
	}
}
