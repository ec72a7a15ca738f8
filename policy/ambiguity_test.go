package policy

import (
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/ambiguity.md says of each example whether it is refused, removed or judged.
func TestAmbiguityTable(t *testing.T) {
	text, err := os.ReadFile("../docs/ambiguity.md")
	if err != nil {
		t.Fatal(err)
	}
	p := compile(t, documentedConfig(t, string(text)), "users:read", "users:admin > users:read")
	example := regexp.MustCompile("`([^`]+)`")
	tried := map[string]int{}
	for row := range strings.Lines(string(text)) {
		cells := strings.Split(strings.ReplaceAll(row, `\|`, "\x01"), " | ")
		if !strings.HasPrefix(row, "| `") || len(cells) != 3 || !strings.Contains("refused removed judged", cells[1]) {
			continue
		}
		examples := example.FindAllStringSubmatch(strings.ReplaceAll(cells[0], "\x01", "|"), -1)
		for i, e := range examples {
			if strings.Contains(cells[0], " + ") || strings.Contains(cells[0], "Upgrade") || strings.Contains(e[1], "://") && !strings.Contains(e[1], ": ") {
				continue // not written out; or one that package test sends over the wire
			}
			switch {
			case strings.Contains(cells[0], "` with `"):
				if i > 0 {
					tryExample(t, p, examples[0][1], headerOf(examples[1:]), cells[1])
				}
			case strings.Contains(e[1], ": "):
				tryHeader(t, e[1], cells[1])
			case strings.Contains(e[1], " /") || strings.Contains(e[1], "é"):
				tryExample(t, p, e[1], http.Header{"X-Org": {"1"}}, cells[1])
			}
			tried[cells[1]]++
		}
	}
	if tried["refused"] < 70 || tried["removed"] < 25 || tried["judged"] < 20 {
		t.Errorf("tried %v: the tables aren't read", tried)
	}
}

// documentedConfig reads the routes of the document's first Caddyfile.
func documentedConfig(t *testing.T, text string) (c Config) {
	t.Helper()
	_, block, _ := strings.Cut(text, "```caddyfile\n")
	block, _, _ = strings.Cut(block, "```")
	for line := range strings.Lines(block) {
		words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), "{"))
		switch {
		case len(words) == 4 && words[0] == "route":
			c.Routes = append(c.Routes, routes(strings.Join(words[1:], " "))...)
		case len(words) == 2 && words[0] == "space":
			c.Routes[len(c.Routes)-1].Space = words[1]
		case len(words) == 2 && words[0] == "default":
			c.Default = words[1]
		}
	}
	return c
}

func headerOf(examples [][]string) http.Header {
	h := http.Header{}
	for _, e := range examples {
		name, value, _ := strings.Cut(e[1], ": ")
		h[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
	}
	return h
}

// tryExample tries a request, "METHOD /path?query".
func tryExample(t *testing.T, p *Policy, example string, h http.Header, want string) {
	t.Helper()
	method, target, _ := strings.Cut(example, " ")
	got := "refused"
	if u, err := url.ParseRequestURI(target); err == nil {
		r := &http.Request{Method: method, URL: u, Host: "1.b.test", Header: h.Clone()}
		r.Header["Authorization"] = []string{"Bearer secret"}
		CleanHeader(r.Header)
		req := NewRequest(r)
		if m := p.matched(&req); m.Reason != AmbiguousRequest {
			got = "judged"
		}
	}
	if got != want {
		t.Errorf("%s: %s, want %s", example, got, want)
	}
}

// tryHeader tries a header field, "Name: value".
func tryHeader(t *testing.T, field, want string) {
	t.Helper()
	name, value, _ := strings.Cut(field, ": ")
	h := http.Header{textproto.CanonicalMIMEHeaderKey(name): {value}, "X-Other": {"1"}}
	CleanHeader(h)
	got := "removed"
	if len(h) > 1 {
		got = "judged"
	}
	if got != want {
		t.Errorf("%s: %s, want %s", field, got, want)
	}
}
