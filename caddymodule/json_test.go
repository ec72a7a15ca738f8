package caddymodule

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/patgate/patgate/policy"
)

// checkRoundTrip checks that a gate read from a Caddyfile is the same gate after
// it has been written as JSON and read again, and compiles to the same routes.
func checkRoundTrip(t *testing.T, h *Handler) {
	t.Helper()
	written, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	read := new(Handler)
	if err := caddy.StrictUnmarshalJSON(written, read); err != nil {
		t.Fatalf("reading %s: %v", written, err)
	}
	again, err := json.Marshal(read)
	if err != nil || string(again) != string(written) {
		t.Errorf("written again: %s (%v), want %s", again, err, written)
	}
	before, beforeErr := compileAlone(t, h)
	after, afterErr := compileAlone(t, read)
	if (beforeErr == nil) != (afterErr == nil) || beforeErr != nil && beforeErr.Error() != afterErr.Error() {
		t.Fatalf("compiling the JSON: %v, the Caddyfile: %v", afterErr, beforeErr)
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("routes of the JSON: %+v, of the Caddyfile: %+v", after, before)
	}
}

// compileAlone compiles a gate without a catalog and describes its routes.
func compileAlone(t *testing.T, h *Handler) (routes []policy.RouteInfo, err error) {
	t.Helper()
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	gate := *h
	if err := gate.compile(catalog); err != nil {
		return nil, err
	}
	for _, r := range gate.policy.Routes() {
		routes = append(routes, r.Info())
	}
	return routes, nil
}

// What is wrong in native JSON is said as clearly as in a Caddyfile.
func TestJSONMistakes(t *testing.T) {
	for _, m := range []struct{ app, gate, want string }{
		{`{"stores": {}}`, `{}`, `json: unknown field "stores"`},
		{`{"store": {"kind": "redis"}}`, `{}`, "store redis: want a URL, or addresses"},
		{`{"store": {"file": "{env.PATGATE_TEST_UNSET}"}}`, `{}`, "store file {env.PATGATE_TEST_UNSET}: evaluated placeholder {env.PATGATE_TEST_UNSET} is empty"},
		{`{"cache": {"size": -1}}`, `{}`, "cache size: want a number from 1 to 100000000, got -1"},
		{`{"cache": {"negative_size": 100000001}}`, `{}`, "cache negative_size: want a number from 1 to 100000000, got 100000001"},
		{`{"cache": {"size": 0}}`, `{}`, "cache size: want a number from 1 to 100000000, got 0"},
		{`{"cache": {"size": 0, "negative_size": 0}}`, `{}`, "cache size: want a number from 1 to 100000000, got 0"},
		{`{"cache": {"max_stale": 1, "negative_ttl": 1, "ttl": 1}, "events": {"keep": 1}}`, `{}`, "cache ttl \"1ns\": want a duration of at least 1ms, such as 60s"}, // the first, always
		{`{"cache": {"ttl": "-1s"}}`, `{}`, `cache ttl "-1s": want a duration of at least 1ms, such as 60s`},
		{`{"cache": {"max_stale": 0}}`, `{}`, `cache max_stale "0s": want a duration of at least 1ms, such as 60s`},
		{`{"cache": {"negative_ttl": "0s"}}`, `{}`, `cache negative_ttl "0s": want a duration of at least 1ms, such as 60s`},
		{`{"cache": {"ttl": "60"}}`, `{}`, `cache.ttl`},                                                    // and in which words, TestReadConfigurationSaysWhere
		{`{"cache": {"ttl": 60}}`, `{}`, `cache ttl "60ns": want a duration of at least 1ms, such as 60s`}, // without a unit, nanoseconds
		{`{"unknown_token_limit": {"window": 60}}`, `{}`, `unknown_token_limit window "60ns": want a duration of at least 1ms, such as 60s`},
		{`{"events": {"keep": 90}}`, `{}`, `events keep "90ns": want a duration of at least 1ms, such as 60s`},
		{`{"store": {"kind": "redis", "redis": {"url": "redis://a", "budget": 250}}}`, `{}`, `store redis: budget "250ns": want a duration of at least 1ms, such as 60s`},
		{`{"store": {"kind": "file"}}`, `{}`, `store "file": want embedded or redis`},
		{`{"unknown_token_limit": {"tokens": -1}}`, `{}`, "unknown_token_limit tokens: want a number from 1 to 100000000, got -1"},
		{`{"unknown_token_limit": {"tokens": 0}}`, `{}`, "unknown_token_limit tokens: want a number from 1 to 100000000, got 0"},
		{`{"unknown_token_limit": {"window": "0s"}}`, `{}`, `unknown_token_limit window "0s": want a duration of at least 1ms, such as 60s`},
		{`{"events": {"max": 0}}`, `{}`, "events max: want a number from 1 to 100000000, got 0"},
		{`{"events": {"max": 100000001}}`, `{}`, "events max: want a number from 1 to 100000000, got 100000001"},
		{`{"events": {"keep": 0}}`, `{}`, `events keep "0s": want a duration of at least 1ms, such as 60s`},
		{`{"store": {"kind": "redis", "redis": {"db": 1}}}`, `{}`, "store redis: want a URL, or addresses"},
		{`{"token": {"prefix": "a-b"}}`, `{}`, `token prefix "a-b": want letters and digits, and "_" only between them`},
		{`{"token": {"max_lifetime": "soon"}}`, `{}`, `token max_lifetime "soon": want a duration such as 90d, or none`},
		{`{"token": {"max_lifetime": "10d", "default_lifetime": "20d"}}`, `{}`, "token default_lifetime 20d: more than max_lifetime (10d) allows"},
		{`{"token": {"pepper": "short"}}`, `{}`, "token pepper: want at least 16 characters, so that it can't be guessed"},
		{`{"token": {"pepper": ""}}`, `{}`, "token pepper: want at least 16 characters, so that it can't be guessed"}, // not none: a variable may be empty
		{`{"token": {"pepper": "{env.PATGATE_TEST_UNSET}"}}`, `{}`, "token pepper: evaluated placeholder {env.PATGATE_TEST_UNSET} is empty"},
		{`{"scopes": [{"name": "a", "implies": ["b"]}]}`, `{}`, "scope a implies b, which is not declared"},
		{`{"scopes": [{"name": "a"}]}`, `{"routes": [{"methods": ["GET"], "pattern": "/b", "require": "b"}]}`, `requirement "b": scope b is not in the catalog`},

		{`{}`, `{"reelm": "x"}`, `json: unknown field "reelm"`},
		{`{}`, `{"openapi": [{}]}`, "openapi: file is missing: which document?"},
		{`{}`, `{"routes": [{"method": "GET"}]}`, `json: unknown field "method"`},
		{`{}`, `{"realm": "a\"b"}`, `realm "a\"b": want visible ASCII characters without quotes and backslashes`},
		{`{}`, `{"default": "maybe"}`, `default "maybe": want deny, any, public`},
		{`{}`, `{"mode": "watch"}`, `mode "watch": want enforce, report`},
		{`{}`, `{"space": "nowhere"}`, `space: source "nowhere": ` + wantSource},
		{`{}`, `{"resource": "nowhere"}`, `resource: source "nowhere": ` + wantSource},
		{`{}`, `{"groups": [{"prefix": "/a", "space": "nowhere"}]}`, `group "/a": space: source "nowhere": ` + wantSource},
		{`{}`, `{"groups": [{"prefix": "/a", "token_from": ["nowhere"]}]}`, `group "/a": token_from "nowhere": ` + wantCredential},
		{`{}`, `{"token_from": ["form t"]}`, `token_from "form t": ` + wantCredential},
		{`{}`, `{"let_through": ["query t"]}`, `let_through "query t": want cookie <name>, header <name>, scheme <word> or bearer <beginning>*`},
		{`{}`, `{"unknown_token_until": "soon"}`, "unknown_token forward until soon: want a date such as 2026-12-31, or a time as in RFC 3339"},
		{`{}`, `{"identity_headers": {"owner": "X_User"}}`, `identity_headers: "X_user": want letters, digits and hyphens`},
		{`{}`, `{"identity_headers": {"off": true, "owner": "X-User"}}`, "identity_headers: want off or the names of headers, not both"},
		{`{}`, `{"let_through": ["cookie a", "cookie a"]}`, "let_through cookie a: is given twice"},
		{`{}`, `{"routes": [{"pattern": "/a"}]}`, "methods: none given; write * for all"},
		{`{}`, `{"routes": [{"methods": ["GET"]}]}`, `pattern "": want a path, which begins with /`},
		{`{}`, `{"groups": [{"prefix": "/a", "groups": [{"prefix": "/b", "routes": [{"methods": ["GET"], "pattern": "/c", "require": "x|"}]}]}]}`, `route GET /a/b/c: requirement "x|"`},
		{`{}`, `{"routes": [{"pattern": "/a"}]}`, "route /a: methods: none given; write * for all"},
		{`{}`, `{"routes": [{"methods": ["GET"], "pattern": "/a", "space": "path.b"}]}`, "space path.b: pattern /a has no {b}"},
		{`{}`, `{"routes": [{"methods": ["GET"], "pattern": "/a"}, {"methods": ["GET"], "pattern": "/a"}]}`,
			"route GET /a can't be told apart from GET /a: the same path for GET"},
	} {
		var config caddy.Config
		document := `{"apps": {"patgate": ` + m.app + `, "http": {"servers": {"s": {"listen": ["127.0.0.1:0"],
			"routes": [{"handle": [` + strings.Replace(m.gate, "{", `{"handler": "patgate"`+comma(m.gate), 1) + `]}]}}}}}`
		if err := json.Unmarshal([]byte(document), &config); err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		err := caddy.Validate(&config)
		if err == nil {
			t.Errorf("app %s, gate %s\n was loaded, want: %s", m.app, m.gate, m.want)
		} else if !strings.Contains(err.Error(), m.want) {
			t.Errorf("app %s, gate %s\n got:  %v\n want: %s", m.app, m.gate, err, m.want)
		}
		// The policy commands find the same, but for what needs the environment.
		if _, err := parseConfiguration([]byte(document)); err == nil && !strings.Contains(m.app, "env.") {
			t.Errorf("app %s, gate %s: the policy commands take it, want: %s", m.app, m.gate, m.want)
		}
	}
}

// comma stands behind a first member before those of object.
func comma(object string) string {
	if object == "{}" {
		return ""
	}
	return ", "
}

// FuzzGlobalOption feeds the option's parser: it must not panic, and what it takes must
// survive JSON.
func FuzzGlobalOption(f *testing.F) {
	for _, seed := range []string{
		"store embedded /x/tokens.db\ncache {\nsize 10\nttl 1m\nnegative_size 5\nnegative_ttl 1s\nmax_stale 2m\n}",
		"store redis rediss://u:p@a:1/2\nunknown_token_limit 20 60s\nlast_used 1m\nevents {\nkeep 90d\nmax 10\n}\ngrants immutable",
		"store redis {\naddress a:1 b:2\nsentinel m {\nusername u\npassword p\n}\ntls {\nca x\n}\nkey_prefix k\n}\nunknown_token_limit off",
		"token {\nprefix ab\ndefault_lifetime 30d\nmax_lifetime none\npepper {env.P}\n}\nscopes {\na \"A\" implies b alias c\nb\n}", "scopes {\na implies *\n}", "cache {", "x {$Y}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		tokens, err := caddyfile.Tokenize([]byte("patgate {\n"+body+"\n}\n"), "Caddyfile")
		if err != nil {
			return // Caddy itself refuses it
		}
		value, err := parseGlobalOption(caddyfile.NewDispenser(tokens), nil)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Errorf("an error without a text for %q", body)
			}
			return
		}
		written, read := value.(httpcaddyfile.App).Value, new(App)
		if err := caddy.StrictUnmarshalJSON(written, read); err != nil {
			t.Fatalf("reading %s: %v", written, err)
		}
		if again := caddyconfig.JSON(read, nil); string(again) != string(written) {
			t.Errorf("written again: %s, want %s", again, written)
		}
	})
}
