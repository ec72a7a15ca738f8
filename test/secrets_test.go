package test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

const secretSites = `
http://api.test:{$PORT} {
	log
	patgate {
		token_from bearer
		token_from basic
		token_from header X-Api-Key
		token_from query api_key
		token_from cookie pat
		route GET /public public
		route GET /stories stories:read
		route POST /stories stories:write
		route GET /never never
		group /spaces/{space} {
			route GET /stories stories:read
			route GET /stories/{id} stories:read {
				resource path.id
			}
		}
		group /report {
			mode report
			route GET /stories stories:write
		}
	}
	reverse_proxy {$UPSTREAM}
}
http://down.test:{$PORT} {
	log
	patgate {
		token_from query api_key
		token_from header X-Api-Key
		route GET /stories stories:read
	}
	reverse_proxy 127.0.0.1:1
}
http://echo.test:{$PORT} {
	log
	patgate {
		token_from query api_key
		route GET /stories stories:read
		route GET /public public
		group /report {
			mode report
			route GET /stories stories:write
		}
	}
	reverse_proxy REDIRECTOR
}
http://reports.test:{$PORT} {
	log
	patgate {
		token_from query api_key
		mode report
		default public
		route GET /stories stories:read
	}
	reverse_proxy REDIRECTOR
}`

const secretPages = `
http://pages.test:{$PORT} {
	log
	patgate {
		token_from query api_key
		token_from header X-Api-Key
		route GET /stories stories:read
	}
	respond "served {http.patgate.owner}"
	handle_errors {
		respond "{err.status_code} {err.message} {err.trace}"
	}
}`

// places returns a request with a secret in each of the places where it could be.
func places(secret string) []request {
	return []request{
		{header: []string{bearerOf(secret)}},
		{header: []string{basic("x", secret)}},
		{header: []string{"Authorization: Token " + secret}},
		{header: []string{"X-Api-Key: " + secret}},
		{header: []string{"x-api-KEY: " + secret, "X-Api-Key: " + secret}},
		{header: []string{"X_Api_Key: " + secret}},
		{header: []string{"X.Api.Key: " + secret}},
		{header: []string{"Cookie: a=b; pat=" + secret}},
		{header: []string{"Referer: https://page.test/?api_key=" + secret}},
		{target: "?api_key=" + secret},
		{target: "?a=1&api_key=" + secret + "&api_key=" + secret},
		{target: "?API_KEY=" + secret},
		{target: "?api%5Fkey=" + secret},
		{target: "?a=1;api_key=" + secret},
		{target: "?%61pi_key=" + secret},
		{target: "?api_key[]=" + secret},
		{target: "?%EF%BD%81pi_key=" + secret},
		{target: "?api_key=" + secret, header: []string{"X-Api-Key: " + secret, bearerOf(secret)}},
	}
}

// Whatever becomes of a request, its token stands in no log, answer, metric or
// trace, nor in what the management API shows. The log format patgate is all an
// operator has to write for it.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	redirector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere := "https://elsewhere.test" + r.RequestURI
		for name, value := range map[string]string{"Location": elsewhere, "Content-Location": elsewhere, "Link": "<" + elsewhere + ">", "Refresh": "0; url=" + elsewhere} {
			w.Header().Set(name, value)
		}
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(redirector.Close)
	s := setup{
		sites: strings.ReplaceAll(secretSites, "REDIRECTOR", strings.TrimPrefix(redirector.URL, "http://")),
		tokens: []known{
			{name: "good", owner: "alice", grants: grant("1", "stories:read", "*")},
			{name: "foreign", secret: "Zm9yZWlnbi10b2tlbi1vZi1hbi1vbGQtQVBJ"},
			{name: "expired", expires: time.Now().Add(-time.Hour)},
			{name: "revoked", revoked: true},
			{name: "elsewhere", ips: []string{"192.0.2.0/24"}},
			{name: "disabled", owner: "bob"},
			{name: "single", grants: grant("1", "stories:read", "7")},
		},
		owners:  []*token.Owner{{ID: "bob"}},
		options: "unknown_token_limit off",
		format:  "patgate",
	}
	g := start(t, s)
	// Those that no token has, or that are cut off, are secrets of someone, too.
	g.secrets["unknown"] = token.NewSecret("pat")
	g.secrets["unknown, foreign"] = "dW5rbm93bi10b2tlbi1vZi1zb21lb25lLWVsc2U"
	g.secrets["malformed"] = token.NewSecret("pat")[:30]
	reasons := map[string]bool{}
	for name, secret := range g.secrets {
		for _, r := range places(secret) {
			query := r.target
			for _, target := range []string{"/public", "/stories", "/never", "/nothing", "/spaces/2/stories", "/spaces/1/stories/8", "/spaces//stories", "/report/stories"} {
				r.target = target + query
				reasons[g.send(t, r).verdict()] = true
			}
			r.method, r.target = "POST", "/stories"+query
			reasons[g.send(t, r).verdict()] = true
			r.method, r.host, r.target = "", "down.test", "/stories"+query
			g.send(t, r)
			for _, r.host = range []string{"echo.test", "reports.test"} {
				for _, path := range []string{"/stories", "/public", "/report/stories", "/nothing", "//stories"} {
					r.target = path + query
					a := g.send(t, r)
					for _, header := range []string{"Location", "Content-Location", "Link", "Refresh"} {
						if strings.Contains(a.header.Get(header), secret[:16]) {
							t.Errorf("%s of %s: %s leads elsewhere with the token", r, name, header)
						}
					}
					if query != "" && a.status == http.StatusFound && (a.header.Get("Cache-Control") != "private" || a.header.Get("Referrer-Policy") != "no-referrer") {
						t.Errorf("%s of %s: the answer has no Cache-Control or Referrer-Policy", r, name)
					}
				}
			}
		}
	}
	for _, reason := range []string{
		"forward", "ambiguous_request", "token_missing", "token_malformed", "token_unknown", "token_expired", "token_revoked", "owner_disabled",
		"address_not_allowed", "scope_missing", "space_not_granted", "resource_not_granted", "route_unknown", "route_never",
	} {
		if !reasons[reason] {
			t.Errorf("no request was answered %s: this shows less than it should", reason)
		}
	}
	for _, path := range []string{
		"/config/", "/metrics", "/patgate/status", "/patgate/tokens", "/patgate/export", "/patgate/owners", "/patgate/report", "/patgate/events", "/patgate/scopes",
		"/debug/pprof/goroutine?debug=2", "/debug/vars", "/reverse_proxy/upstreams",
	} {
		g.saw(g.get(t, path))
	}
	// Error pages are shown what went wrong.
	pages := start(t, setup{format: s.format, sites: secretPages, tokens: s.tokens, options: s.options})
	for _, secret := range pages.secrets {
		for _, r := range places(secret) {
			r.host, r.target = "pages.test", "/stories"+r.target
			pages.send(t, r)
		}
	}
	if log := g.log.String(); strings.Contains(log, "in clear") || !strings.Contains(log, "api_key=REDACTED") {
		t.Error("the log warns although it masks, or has no masked line")
	}
}

// A log that would show tokens is warned of at start, at a reload, and by policy check,
// one that wouldn't isn't.
func TestLogWarning(t *testing.T) {
	t.Parallel()
	var g *gateway
	for _, row := range []struct {
		name, log, from string
		want            bool
	}{
		{"query", "log", "token_from query api_key", true},
		{"header", "log", "token_from header X-Api-Key", true},
		{"on a route", "log", "route GET /y any {\n\ttoken_from query key\n}", true},
		{"bearer", "log", "token_from bearer", false},
		{"no log", "", "token_from query api_key", false},
		{"masked", "log {\nformat patgate\n}", "token_from query api_key", false},
		{"to a file, while others are masked", "log {\noutput file {$DIR}/a.log\n}", "token_from query api_key", true},
		{"masked in one of two", "log {\nformat patgate\n}\nlog more {\noutput file {$DIR}/b.log\n}", "token_from query api_key", true},
	} {
		s := setup{global: "log audit {\nformat patgate\ninclude patgate.audit\n}", sites: fmt.Sprintf("http://api.test:{$PORT} {\n%s\npatgate {\n%s\nroute GET /x any\n}\nrespond ok\n}", row.log, row.from)}
		before := 0
		if g == nil {
			g = start(t, s)
		} else {
			before = len(g.log.String())
			if err := g.reload(t, s); err != nil {
				t.Fatal(err)
			}
			await(t, "the reload to be logged", func() bool { return strings.Contains(g.log.String()[before:], "load complete") })
		}
		log := g.log.String()[before:]
		if got := strings.Contains(log, "access logs show tokens in clear"); got != row.want {
			t.Errorf("%s: warned is %v, want %v", row.name, got, row.want)
		}
		out, err := g.command("policy", "check", "--config", g.file)
		if got := strings.Contains(out, "access logs show tokens in clear"); err != nil || got != row.want {
			t.Errorf("%s: policy check warned is %v (%v), want %v", row.name, got, err, row.want)
		}
		if got, want := strings.Contains(log, "what fails show tokens in clear"), row.from != "token_from bearer"; got != want {
			t.Errorf("%s: warned of the log of what fails is %v, want %v", row.name, got, want)
		}
	}
}

// What opens the store is shown as it is written, as a placeholder, and stands in
// no log; nor does it where the configuration is wrong.
func TestConfigurationSecrets(t *testing.T) {
	for name, s := range map[string]setup{
		"pepper": {options: "token {\n\tpepper {env.TEST_SECRET}\n}"},
		"redis":  {store: "redis {\n\taddress 127.0.0.1:1\n\tpassword {env.TEST_SECRET}\n}"},
		"url":    {store: "redis {env.TEST_URL}"},
	} {
		s.sites = plainSite
		g := prepare(t, s)
		const secret = "correct-horse-battery-staple"
		t.Setenv("TEST_SECRET", secret)
		t.Setenv("TEST_URL", "redis://user:"+secret+"@127.0.0.1:1/0")
		if err := g.run(t); err != nil {
			t.Fatalf("%s: starting: %v\n%s", name, err, g.log)
		}
		g.secrets = map[string]string{name: secret}
		g.saw([]byte(g.send(t, request{target: "/x", header: []string{bearerOf(token.NewSecret("pat"))}}).body))
		for _, path := range []string{"/config/", "/metrics", "/patgate/status", "/patgate/tokens", "/debug/pprof/goroutine?debug=2"} {
			g.saw(g.get(t, path))
		}
		if !bytes.Contains(g.get(t, "/config/"), []byte("{env.TEST_")) {
			t.Errorf("%s: the configuration doesn't show the placeholder", name)
		}
		g.stop()
		g.checkOutput(t)
	}
}
