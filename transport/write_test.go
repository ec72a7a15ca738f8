package transport

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzWrite holds write against http.Request.Write: for every request that Takes
// takes, both write the same lines, the first two of them in the same order.
func FuzzWrite(f *testing.F) {
	f.Add("GET", "/a%2Fb", "q=1", "api.test:80", "Accept", "*/*", "X-A", "1", "curl")
	f.Add("HEAD", "//x/../y", "a=%zz;b", "[::1]:80", "Host", "other", "Content-Length", "7", "")
	f.Add("GET", "/", "", "", "Accept", "*/*", "X-A", "1", "curl")
	f.Add("OPTIONS", "", "", "h", "Trailer", "X", "Transfer-Encoding", "chunked", " a ")
	f.Add("GET", "*", "é", "H_1", "x-lower", " \tpadded\t ", "X-Lower", "2", "\x80")
	f.Add("GET", "/é|x", "?", "1.2.3.4", "Connection", "close", "Connection", "x", "a\tb")
	f.Fuzz(func(t *testing.T, method, path, query, host, name1, value1, name2, value2, agent string) {
		u := &url.URL{Scheme: "http", Host: "upstream:80", RawPath: path, RawQuery: query}
		u.Path, _ = url.PathUnescape(path)
		r := &http.Request{
			Method: method, URL: u, Host: host, Body: http.NoBody,
			Header: http.Header{"User-Agent": {agent, "second"}, name1: {value1, value2}, name2: {value2}},
		}
		if !Takes(r) {
			return
		}
		var got, want bytes.Buffer
		if err := write(bufio.NewWriter(&got), r); err != nil {
			t.Fatal(err)
		}
		if err := r.Write(&want); err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if g, w := lines(got.String()), lines(want.String()); !slices.Equal(g, w) {
			t.Errorf("written:\n%q\nwant, as with net/http:\n%q", g, w)
		}
	})
}

// lines splits a request into its lines and sorts those of which the order means
// nothing: fields of the same name stay as they are.
func lines(s string) []string {
	list := strings.Split(s, "\r\n")
	fields := list[min(2, len(list)):]
	slices.SortStableFunc(fields, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	return list
}

// BenchmarkWrite is what it takes to write a request as reverse_proxy sends it.
func BenchmarkWrite(b *testing.B) {
	r := &http.Request{
		Method: "GET", URL: &url.URL{Scheme: "http", Host: "upstream:80", Path: "/v1/spaces/1/stories/2"}, Host: "api.test",
		Header: http.Header{
			"Accept": {"*/*"}, "Accept-Encoding": {"gzip, deflate"}, "Accept-Language": {"*"}, "Authorization": {"Bearer " + strings.Repeat("x", 40)},
			"Sec-Fetch-Mode": {"cors"}, "User-Agent": {"node"}, "Via": {"1.1 Caddy"},
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"api.test"}, "X-Forwarded-Proto": {"http"},
			"X-Patgate-Owner": {"alice"}, "X-Patgate-Scopes": {"stories:read"}, "X-Patgate-Space": {"1"}, "X-Patgate-Token": {"06h2bj5x85bw3p7c4h1esmrmy8"},
		},
	}
	w := bufio.NewWriter(io.Discard)
	for name, write := range map[string]func() error{
		"net/http": func() error { return cmp.Or(r.Write(w), w.Flush()) },
		"short":    func() error { return write(w, r) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := write(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
