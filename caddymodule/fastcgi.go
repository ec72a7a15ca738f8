package caddymodule

import (
	"encoding/json"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// mayForwardToFastCGI reports whether a proxy among the routes of a server speaks it: its
// programs are told the URL that the client has sent. Of routes that Caddy has provisioned
// already, nobody can tell.
func mayForwardToFastCGI(server *caddyhttp.Server) bool {
	speaks := func(r caddyhttp.Route) bool {
		return slices.ContainsFunc(r.HandlersRaw, func(raw json.RawMessage) bool {
			var handler any
			return json.Unmarshal(raw, &handler) != nil || speaksFastCGI(handler)
		})
	}
	for _, named := range server.NamedRoutes {
		if speaks(*named) {
			return true
		}
	}
	return slices.ContainsFunc(server.Routes, speaks) || !beingProvisioned(server.Routes)
}

// speaksFastCGI reports whether a transport in the JSON of a handler, or in one that it has
// inside, is FastCGI.
func speaksFastCGI(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if v["protocol"] == "fastcgi" {
			return true
		}
		for _, inside := range v {
			if speaksFastCGI(inside) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, speaksFastCGI)
	}
	return false
}
