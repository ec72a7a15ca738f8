package openapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// basePath is the path below which an operation is, or why its servers don't say one: then the
// configuration must.
type basePath struct {
	path string
	err  error
}

// within returns the base path of a path or an operation, which may have servers of its own.
func (b basePath) within(t *tree) basePath {
	if own := t.get("servers"); len(own.all()) > 0 {
		return basePathOf(own)
	}
	return b
}

// or returns what the configuration says, if it does, or the path of the servers.
func (b basePath) or(said string) (string, error) {
	if said != "" {
		return said, nil
	}
	return b.path, b.err
}

// basePathOf returns the one path that all the servers have.
func basePathOf(servers *tree) basePath {
	var paths []string // a few: more would say no more
	for _, s := range servers.all() {
		path, err := serverPath(s)
		if err != nil {
			return basePath{err: err}
		}
		if len(paths) < 3 && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	switch {
	case len(paths) == 0:
		return basePath{path: "/"} // OpenAPI 3.1 section 4.8.1.1
	case slices.Contains(paths, ""):
		return basePath{err: noBase("the path of its server depends on where the document is")}
	case len(paths) > 1:
		return basePath{err: noBase("its servers have different paths (" + strings.Join(paths, ", ") + ")")}
	}
	return basePath{path: paths[0]}
}

// maxServerPath bounds what variables make of a server's path.
const maxServerPath = 8192

// serverPath returns the path of a server. "" means that it depends on where the
// document is found.
func serverPath(server *tree) (string, error) {
	text := server.get("url").value()
	variables := map[string]*tree{}
	for _, v := range server.get("variables").all() {
		variables[v.key] = v
	}
	several, size := false, 0
	fill := func(text string, counts func(value *tree) bool) string {
		return parameters(text, func(name string) string {
			v := variables[name]
			values := v.get("enum").all()
			several = several || len(values) > 1 && slices.ContainsFunc(values, counts)
			value := v.get("default")
			if size += len(value.value()); value == nil || size > maxServerPath {
				return "{" + name + "}"
			}
			return value.text
		})
	}
	host, path := cutAuthority(text)
	// A variable after the host may be a path, as in https://example.com{basePath}.
	host = fill(host, func(value *tree) bool { return strings.Contains(value.text, "/") })
	path = fill(path, func(*tree) bool { return true })
	if several {
		return "", noBase(fmt.Sprintf("server %q has one path for each value of its variables", text))
	}
	path, _, _ = strings.Cut(host+path, "?")
	path, _, _ = strings.Cut(path, "#")
	_, path = cutAuthority(path)
	if !strings.HasPrefix(path, "/") {
		return "", nil
	}
	if _, err := url.PathUnescape(path); err != nil || strings.ContainsAny(path, "{}") {
		return "", noBase(fmt.Sprintf("server %q: want a path whose variables have defaults", text))
	}
	if trimmed := strings.TrimRight(path, "/"); trimmed != "" {
		return trimmed, nil
	}
	return "/", nil
}

// cutAuthority cuts what is before the path off a URL.
func cutAuthority(text string) (before, path string) {
	start := strings.Index(text, "//")
	if start != 0 && (start < 1 || text[start-1] != ':') {
		return "", text
	}
	end := strings.IndexByte(text[start+2:], '/')
	if end < 0 {
		return text, "/"
	}
	end += start + 2
	return text[:end], text[end:]
}
