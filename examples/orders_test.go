package examples

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// rateLimit and responseCache stand in for handlers of modules that are not part
// of this one: they take every setting, and are in the place that those have by
// themselves.
type rateLimit struct{ standIn }
type responseCache struct{ standIn }

type standIn struct{}

func (standIn) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

func (rateLimit) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.rate_limit", New: func() caddy.Module { return new(rateLimit) }}
}

func (responseCache) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.cache", New: func() caddy.Module { return new(responseCache) }}
}

func skipBlock(d *caddyfile.Dispenser) {
	d.Next()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		skipInner(d)
	}
}

func skipInner(d *caddyfile.Dispenser) {
	d.RemainingArgs()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		skipInner(d)
	}
}

func init() {
	caddy.RegisterModule(rateLimit{})
	caddy.RegisterModule(responseCache{})
	httpcaddyfile.RegisterHandlerDirective("rate_limit", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		skipBlock(h.Dispenser)
		return rateLimit{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("rate_limit", httpcaddyfile.Before, "basic_auth")
	httpcaddyfile.RegisterHandlerDirective("cache", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		skipBlock(h.Dispenser)
		return responseCache{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("cache", httpcaddyfile.Before, "rewrite")
	httpcaddyfile.RegisterGlobalOption("cache", func(d *caddyfile.Dispenser, _ any) (any, error) {
		skipBlock(d)
		return nil, nil
	})
}

// What limits or caches by who asks comes after the gate. The modules are not
// built in here: this is about the order, and the placeholders they are given.
func TestOrders(t *testing.T) {
	for name, want := range map[string][]string{
		"rate-limit": {"patgate", "rate_limit", "reverse_proxy"},
		"cache":      {"patgate", "cache", "reverse_proxy"},
	} {
		text, err := os.ReadFile("recipes/" + name + "/Caddyfile")
		if err != nil {
			t.Fatal(err)
		}
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, m := range regexp.MustCompile(`"handler":"(\w+)"`).FindAllSubmatch(config, -1) {
			got = append(got, string(m[1]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the handlers are %q, want %q", name, got, want)
		}
		for _, m := range regexp.MustCompile(`\{http\.patgate\.(\w+)\}`).FindAllSubmatch(text, -1) {
			if known := []string{"decision", "token_id", "owner", "space", "resource", "required_scope"}; !slices.Contains(known, string(m[1])) {
				t.Errorf("%s: there is no placeholder %s", name, m[0])
			}
		}
	}
}
