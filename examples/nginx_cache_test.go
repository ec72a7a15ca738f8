package examples

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/freeport"
)

// By its own key, the cache of nginx gives the answer to one token to another.
// By the key of docs/how-to.md it doesn't, behind a gate and where nginx asks one.
func TestNginxCache(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../docs/how-to.md")
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile("proxy_cache_key \"[^\"]+\";").FindString(string(guide))
	if key == "" {
		t.Fatal("docs/how-to.md has no key for the cache of nginx")
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "by %s", r.Header["X-Patgate-Owner"])
	}))
	t.Cleanup(api.Close)
	const cache = "proxy_cache answers; add_header X-Cache $upstream_cache_status; "
	behind := func(t *testing.T, key string) (*recipe, string) {
		addr := freeport.For(t)
		runNginx(t, addr, "server {\nlisten "+addr+";\nlocation / { "+cache+key+" proxy_pass "+api.URL+"; }\n}\n")
		r := serveRecipe(t, "recipes/load-balancer/Caddyfile", "UPSTREAM="+addr)
		return r, r.addr
	}
	asking := func(t *testing.T, key string) (*recipe, string) {
		r := serveRecipe(t, "recipes/nginx/Caddyfile")
		key = strings.ReplaceAll(key, "$http_x_patgate_", "$patgate_")
		return r, serveNginx(t, r.addr, strings.TrimPrefix(api.URL, "http://"), cache+key)
	}
	for _, test := range []struct {
		name  string
		serve func(t *testing.T, key string) (r *recipe, addr string)
		key   string
		bobs  string // what bob is answered, after alice
	}{
		{"behind, by its own key", behind, "", "by [alice] HIT"},
		{"behind", behind, key, "by [bob] MISS"},
		{"asking, by its own key", asking, "", "by [alice] HIT"},
		{"asking", asking, key, "by [bob] MISS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, addr := test.serve(t, test.key)
			alices, bobs := r.token(t), r.token(t, "--owner", "bob")
			for _, row := range [][2]string{{alices, "by [alice] MISS"}, {alices, "by [alice] HIT"}, {bobs, test.bobs}} {
				_, body, answer := send(t, addr, "GET", "/v1/spaces/1/stories", "Authorization", "Bearer "+row[0])
				if got := body + " " + answer.Get("X-Cache"); got != row[1] {
					t.Errorf("answered %q, want %q", got, row[1])
				}
			}
		})
	}
}
