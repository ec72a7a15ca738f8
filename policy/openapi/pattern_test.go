package openapi

import (
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

func TestPatterns(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/a/{b}": "/a/{b}", "/{a.b}/{c[d]}": "/{a_b}/{c_d_}", "/{proxy+}": "/{proxy...}", "/a/{+rest}": "/a/{rest...}",
		"/a/{p*}": "/a/{p...}", "/a/{*p}": "/a/{p...}", "/a/{**p}": "/a/{p...}", "/a/{p:path}": "/a/{p...}", "/a/{+p*}": "/a/{+p*}", "/a/{p:path}/b": "/a/{p}/b",
		"/{a+}/b": "/{a_}/b", "/{id}.json": "/{id}.json", "/a{;b}": "/a{;b}", "/a{": "/a{", "/{}": "/{}", "/{+}": "/{+}",

		// a regular expression doesn't make a tail
		"/u/{id:[0-9]+}": "/u/{id}", `/u/{id: \d+}`: "/u/{id}", "/u/{id:[a-z]{3}}/x": "/u/{id}/x", "/u/{a.b+}": "/u/{a_b_}", "/{+a:b}": "/{+a:b}",
		"/u/{path:.+}": "/u/{path}", "/v1/{name=shelves/*}": "/v1/{name=shelves/*}", "/{a:b/c}": "/{a:b/c}",

		// conditions on the query
		"/s?query={query}": "/s?query", "/s?op=list": "/s?op=list", "/s?op=list&q={q}&r": "/s?op=list&q&r", "/{a+}?q={b/c}": "/{a...}?q",
		"/s?q=x{q}": "/s?q=x{q}", "/s?q={a}{b}": "/s?q={a}{b}", "/s{?a,b}": "/s{?a,b}",
	} {
		if got := pattern(path); got != want {
			t.Errorf("pattern(%q) = %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"/files/{id}{format}", "/v1/{name=shelves/*}", "/s?q=x{q}", "/s?{q}", "/s{?a,b}", "/s?q=", "/s?policy#id"} {
		d, err := read(t, paths("  '"+path+"':\n    get: {operationId: getFile, security: []}\n"))
		if err != nil {
			t.Fatal(err)
		}
		const want = ": write skip getFile, and a route of your own"
		if _, err := d.routes(policy.OpenAPIConfig{File: "api.yaml"}); err == nil || !strings.HasSuffix(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "openapi api.yaml: operation getFile (api.yaml:4): its path can't be a pattern: ") {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
