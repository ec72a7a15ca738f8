package personality

import (
	"slices"
	"strings"
)

// methods returns the method and, where it may be overridden, those that headers and
// parameters put in its place.
func (p *Personality) methods(r *Request) []string {
	methods := []string{r.Method}
	if !p.overridable {
		return methods
	}
	var others []string
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		others = append(others, folded(r.Header, name)...)
		others = append(others, slices.Concat(phpQuery(r.Query, name)...)...)
	}
	others = append(others, slices.Concat(phpQuery(r.Query, "_method")...)...)
	others = append(others, slices.Concat(qs(r.Query, "_method")...)...)
	for _, method := range others {
		methods = append(methods, strings.ToUpper(method))
	}
	return slices.Compact(methods)
}

// hosts is methods for the host. X-Forwarded-Host is missing: Caddy sets it itself.
func (p *Personality) hosts(r *Request) []string {
	hosts := []string{r.Host}
	if !p.overridable {
		return hosts
	}
	for _, name := range []string{"X-Host", "X-Original-Host", "X-HTTP-Host-Override", "X-Forwarded-Server"} {
		hosts = append(hosts, folded(r.Header, name)...)
	}
	for _, value := range folded(r.Header, "Forwarded") {
		if _, host, ok := strings.Cut(strings.ToLower(value), "host="); ok {
			host, _, _ = strings.Cut(host, ";")
			hosts = append(hosts, strings.Trim(host, `"`))
		}
	}
	return hosts
}

// rewritten returns the path, and those that headers put in its place.
func rewritten(r *Request) []string {
	paths := []string{r.Path}
	for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Path"} {
		for _, value := range folded(r.Header, name) {
			value, _, _ = strings.Cut(value, "?")
			paths = append(paths, value)
		}
	}
	return paths
}
