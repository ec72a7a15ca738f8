package openapi

import (
	"testing"

	"github.com/patgate/patgate/policy"
)

func TestRoutes(t *testing.T) {
	got, err := routesOf(t, plainConfig)
	if err != nil {
		t.Fatal(err)
	}
	want := `GET /v2/health public testdata/stories.yaml:13
GET /v2/spaces/{spaceID}/stories stories:read testdata/stories.yaml:19
POST /v2/spaces/{spaceID}/stories stories:write|stories:admin testdata/stories.yaml:25
GET /v2/spaces/{spaceID}/stories/{story_id} stories:read optional testdata/stories.yaml:34
PUT /v2/spaces/{spaceID}/stories/{story_id} stories:write|stories:admin assets:read|stories:admin testdata/stories.yaml:38
DELETE /v2/spaces/{spaceID}/stories/{story_id} never testdata/stories.yaml:44
GET /v2/spaces/{spaceID}/assets/{path...} assets:read testdata/parts/assets.yaml:4
POST /v2/spaces/{spaceID}/assets/{path...} assets:write testdata/parts/assets.yaml:9
GET /v2/me any testdata/stories.yaml:51
`
	if got != want {
		t.Errorf("routes:\n%swant:\n%s", got, want)
	}
}

// TestExpand checks that documents in groups become groups within.
func TestExpand(t *testing.T) {
	c := plainConfig
	c.Space = "path.spaceID"
	config := policy.Config{OpenAPI: []policy.OpenAPIConfig{c}, Groups: []policy.GroupConfig{{Prefix: "/x", OpenAPI: []policy.OpenAPIConfig{c}}}}
	expanded, err := Expand(config)
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Groups) != 1 || len(config.Groups[0].Groups) != 0 {
		t.Error("Expand changed what it was given")
	}
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Compile(config, catalog); err == nil {
		t.Error("a configuration compiles whose documents aren't expanded")
	}
	p, err := policy.Compile(expanded, catalog)
	if err != nil {
		t.Fatal(err)
	}
	spaces := map[string]string{}
	for _, r := range p.Routes() {
		spaces[r.Methods[0]+" "+r.Pattern] = r.Info().Space
	}
	for route, want := range map[string]string{
		"GET /v2/me": "none", "GET /x/v2/me": "none",
		"POST /v2/spaces/{spaceID}/stories": "path.spaceID", "POST /x/v2/spaces/{spaceID}/stories": "path.spaceID",
	} {
		if spaces[route] != want {
			t.Errorf("%s has its space from %q, want %q", route, spaces[route], want)
		}
	}
}
