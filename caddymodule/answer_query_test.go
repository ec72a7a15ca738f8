package caddymodule

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/mask"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// What an upstream answers to a request with a token in its URL, and what of it
// reaches the client.
func TestDiscreet(t *testing.T) {
	const secret = "s3cret/0f+an.API" // with characters that are encoded in a query
	const encoded = "s3cret%2F0f%2Ban.API"
	plain := http.Header{"Cache-Control": {"private"}, "Referrer-Policy": {"no-referrer"}}
	with := func(name string, values ...string) http.Header {
		h := plain.Clone()
		h[name] = values
		return h
	}
	for _, row := range []struct{ given, want http.Header }{
		{http.Header{}, plain},
		{http.Header{"Cache-Control": {"public, max-age=60, s-maxage=600"}}, with("Cache-Control", "private, max-age=60")},
		{http.Header{"Cache-Control": {"max-age=60", "must-revalidate"}}, with("Cache-Control", "private, max-age=60, must-revalidate")},
		{http.Header{"Cache-Control": {"no-store"}}, with("Cache-Control", "no-store")},
		{http.Header{"Cdn-Cache-Control": {"max-age=60"}, "Some-Cdn-Cache-Control": {"public"}, "Surrogate-Control": {"max-age=60"}}, plain},
		{http.Header{"Referrer-Policy": {"same-origin"}}, with("Referrer-Policy", "same-origin")},
		{http.Header{"Referrer-Policy": {"No-Referrer, strict-origin"}}, with("Referrer-Policy", "No-Referrer, strict-origin")},
		{http.Header{"Referrer-Policy": {"no-referrer, unsafe-url"}}, plain},
		{http.Header{"Referrer-Policy": {"no-referrer-when-downgrade"}}, plain},

		{http.Header{"Location": {"/x?cv=1&token=" + encoded}}, with("Location", "/x?cv=1&token="+encoded)},
		{http.Header{"Location": {"https://API.test/x?token=" + encoded}}, with("Location", "https://API.test/x?token="+encoded)},
		{http.Header{"Location": {"http://api.test/x?token=" + encoded}}, with("Location", "http://api.test/x")},
		{http.Header{"Location": {"https://other.test/x?a=1&token=" + encoded + "&b=2"}}, with("Location", "https://other.test/x?a=1&b=2")},
		{http.Header{"Location": {"//other.test/x?token=" + encoded}}, with("Location", "//other.test/x")},
		{http.Header{"Location": {"https://other.test/x?again=%2Fx%3Ftoken%3D" + secret}}, with("Location", "https://other.test/x")},
		// What browsers take for another origin.
		{http.Header{"Location": {`/\other.test/x?token=` + encoded}}, with("Location", "/%5Cother.test/x")},
		{http.Header{"Location": {"///other.test/x?token=" + encoded}}, with("Location", "///other.test/x")},
		{http.Header{"Location": {"https:///other.test/x?token=" + encoded}}, with("Location", "https:///other.test/x")},
		{http.Header{"Location": {"https:other.test/x?token=" + encoded}}, with("Location", "https:other.test/x")},
		{http.Header{"Location": {"/\t/other.test/x?token=" + encoded}}, with("Location", "/")},
		{http.Header{"Link": {`</\other.test/?t=` + encoded + `>; rel="next"`}}, with("Link", `</%5Cother.test/>; rel="next"`)},
		{http.Header{"Refresh": {"0; url=HTTPS:other.test?t=" + encoded}}, with("Refresh", "0; url=https:other.test")},
		// Beside a broken escape, and encoded once more.
		{http.Header{"Location": {"https://other.test/x?a=%zz&token=" + encoded}}, with("Location", "https://other.test/x?a=%zz")},
		{http.Header{"Location": {"https://other.test/x?again=%2Fx%3Ftoken%3Ds3cret%252F0f%252Ban.API"}}, with("Location", "https://other.test/x")},
		{http.Header{"Location": {"https://other.test/x#token=" + encoded}}, with("Location", "https://other.test/x")},
		{http.Header{"Location": {"https://other.test/x/" + secret}}, with("Location", "https://other.test/")},
		{http.Header{"Location": {"https://other.test/x?token=another"}}, with("Location", "https://other.test/x?token=another")},
		{http.Header{"Content-Location": {"https://cdn.test/x?token=" + encoded}}, with("Content-Location", "https://cdn.test/x")},
		{http.Header{"Location": {"%zz" + secret}}, with("Location", "/")},
		{http.Header{"Link": {`</x?page=2&token=` + encoded + `>; rel="next"`}}, with("Link", `</x?page=2&token=`+encoded+`>; rel="next"`)},
		{http.Header{"Link": {`<https://other.test/?t=` + encoded + `>; rel="next"`, `</a>; rel="prev"`}}, with("Link", `<https://other.test/>; rel="next"`, `</a>; rel="prev"`)},
		{http.Header{"Link": {`<https://api.test:443/x?t=` + encoded + `>; rel="next", <//other.test/x?t=` + encoded + `&a=1>; rel="last", </a//b>; rel=help`}},
			with("Link", `<https://api.test:443/x?t=`+encoded+`>; rel="next", <//other.test/x?a=1>; rel="last", </a//b>; rel=help`)},
		{http.Header{"Refresh": {"5; url=https://other.test/?t=" + encoded}}, with("Refresh", "5; url=https://other.test/")},
		{http.Header{"Refresh": {"5;url=https://api.test/?t=" + encoded}}, with("Refresh", "5;url=https://api.test/?t="+encoded)},
		{http.Header{"Refresh": {`5; url="//other.test/?t=` + encoded + `"`}}, with("Refresh", "5; url=//other.test/")},
		{http.Header{"Refresh": {`5; url='/x?t=` + encoded + `'`}}, with("Refresh", `5; url='/x?t=`+encoded+`'`)},
		{http.Header{"Location": {"/a b?t=" + encoded}}, with("Location", "/a b?t="+encoded)},
		{http.Header{"Refresh": {"5, //other.test/?t=" + encoded}}, with("Refresh", "5, //other.test/")},
		{http.Header{"Link": {`< //other.test/?t=` + encoded + `>`}}, with("Link", `<%20//other.test/>`)},
		// Where it isn't certain what is a reference, or the token stands beside it.
		{http.Header{"Link": {`</a>; title="<", <//other.test/?t=` + encoded + `>`}}, plain},
		{http.Header{"Link": {`<https://other.test/?a=<b&t=` + encoded + `>`}}, plain},
		{http.Header{"Link": {`</a>; title="` + secret + `"`, `</b>`}}, with("Link", "</b>")},
		{http.Header{"Link": {`</x?t=` + encoded + `>`, `</help>; title="a > b"`}}, with("Link", `</x?t=`+encoded+`>`, `</help>; title="a > b"`)},
		{http.Header{"Refresh": {`5; url="//other.test/?t=` + encoded + `'`}}, plain},
	} {
		for how, write := range map[string]func(http.ResponseWriter){
			"WriteHeader": func(w http.ResponseWriter) { w.WriteHeader(http.StatusFound) },
			"Write":       func(w http.ResponseWriter) { io.WriteString(w, "x") },
			"Flush":       func(w http.ResponseWriter) { http.NewResponseController(w).Flush() },
			"ReadFrom":    func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) },
			"after 103": func(w http.ResponseWriter) {
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(http.StatusFound)
			},
		} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "https://api.test/x", nil)
			r.TLS = new(tls.ConnectionState)
			d := newHeadWriter(w, (&urlTokens{r, []string{"one more", secret}}).clean)
			for name, values := range row.given {
				d.Header()[name] = values
			}
			write(d)
			got := w.Header().Clone()
			if got.Get("Content-Type") != "" {
				got.Del("Content-Type") // the recorder's
			}
			if !reflect.DeepEqual(got, row.want) {
				t.Errorf("%v, %s: the client got %v, want %v", row.given, how, got, row.want)
			}
		}
	}
}

// A token that is a part of a host leads there no more.
func TestDiscreetHost(t *testing.T) {
	d := &urlTokens{httptest.NewRequest("GET", "https://api.test/x", nil), []string{"secret-token"}}
	if got := d.away("https://secret-token.other.test/x"); got != "/" {
		t.Errorf("to a host with the token in it: %s, want /", got)
	}
}

// The request may have been sent by HTTPS to a proxy, which has then asked by HTTP: an answer
// must not have it sent in clear.
func TestDiscreetBehindProxy(t *testing.T) {
	r := httptest.NewRequest("GET", "http://api.test/x", nil)
	d := &urlTokens{r, []string{"secret-token"}}
	const there = "http://api.test/y?t=secret-token"
	if got := d.away(there); got != there {
		t.Errorf("by HTTP as it was: %s, want %s", got, there)
	}
	r.Header.Set("X-Forwarded-Proto", "HTTPS")
	if got := d.away(there); got != "http://api.test/y" {
		t.Errorf("by HTTP, where it was HTTPS: %s, want http://api.test/y", got)
	}
}

// Wherever an answer sends a browser with the token, that is where the request was sent.
func FuzzDiscreet(f *testing.F) {
	const secret = "s3cret-token"
	for _, seed := range []string{
		"/x?t=" + secret, "//other.test/x?t=" + secret, `/\other.test/?t=` + secret, "https:other.test?t=" + secret, "http:///other.test/" + secret, "\t//other.test/" + secret,
		"https://api.test:443/x?t=" + secret, "http://user@api.test:80/#" + secret, "https://api.test@other.test/?a=b&t=" + secret, "HTTP://%61pi.test/?t=s3cret%252Dtoken",
		"javascript:x?t=" + secret, "?t=" + secret + "&u=https://other.test", "//" + secret, "%zz" + secret,
	} {
		f.Add(seed)
	}
	d := &urlTokens{httptest.NewRequest("GET", "http://api.test/x", nil), []string{secret}}
	f.Fuzz(func(t *testing.T, reference string) {
		for name, value := range map[string]string{"Location": reference, "Link": "<" + reference + ">; rel=next", "Refresh": `5; url="` + reference + `"`} {
			h := http.Header{name: {value}}
			d.clean(http.StatusFound, h)
			left := h.Get(name)
			switch name {
			case "Link":
				_, left, _ = strings.Cut(left, "<")
				left, _, _ = strings.Cut(left, ">")
			case "Refresh":
				_, left, _ = strings.Cut(left, "url=")
				left = strings.Trim(left, `"`)
			}
			if host := leadsTo(left); d.shows(left) && !strings.EqualFold(host, "api.test") {
				t.Errorf("%s: %q becomes %q, which leads to %q", name, value, left, host)
			}
		}
	})
}

// leadsTo returns the host that a browser goes to from http://api.test (URL standard, section
// 4.4), without the usual ports; what it can't go to by HTTP counts as another.
func leadsTo(reference string) string {
	reference = strings.TrimFunc(reference, func(r rune) bool { return r <= ' ' })
	reference = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(reference)
	port := ":80"
	if scheme := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`).FindString(reference); scheme != "" {
		reference = strings.TrimPrefix(reference, scheme)
		switch scheme = strings.ToLower(scheme); {
		case scheme == "http:" && !strings.HasPrefix(reference, "//"):
			return "api.test" // as if it had no scheme
		case scheme == "https:":
			port = ":443"
		case scheme != "http:":
			return scheme
		}
	} else if !strings.HasPrefix(reference, "//") {
		return "api.test"
	}
	authority := strings.TrimLeft(reference, "/")
	authority = authority[:strings.IndexAny(authority+"/", "/?#")]
	return strings.TrimSuffix(authority[strings.LastIndex(authority, "@")+1:], port)
}

// A token in a query is known as such, whether the gate has taken it from there or not.
func TestShown(t *testing.T) {
	own := token.NewSecret("pat")
	const foreign = "wPQ7cn3sX0rT5vB9/+"
	h := &Handler{policy: &policy.Policy{Prefix: "pat"}, inQuery: mask.New([]policy.Credential{{Kind: policy.Bearer}, {Kind: policy.Query, Name: "api_key"}}, "pat")}
	for query, want := range map[string][]string{
		"":                                       nil,
		"a=1&api_key=" + own:                     {own, own}, // by its key and by its form
		"a=1;tok%65n=" + own + ";b=2":            {own},
		own:                                      {own},
		"to=%2Fx%3Faccess_token%3D" + own:        {own},
		"to=Bearer%20" + own:                     {own},
		"API_KEY=" + foreign + "&b=2":            {foreign},
		"api_key=" + foreign + ";b=2":            {foreign},
		"api%5Fkey%5B%5D=wPQ7cn3sX0rT5vB9%2F%2B": {foreign},
		"api_key=1":                              nil,
		"api_key=short":                          {"short"}, // as the gate has taken it
		"a=" + foreign:                           nil,
		"a=" + own + "x&path=pat_of_things_that_are_no_tokens": nil,
		"to=http://name@mail.test/Basic%20dXNlcjpwYXNz":        nil,
	} {
		if got := h.shown(query, "short"); !slices.Equal(got, want) {
			t.Errorf("the query %q shows %q, want %q", query, got, want)
		}
	}
	if h.inQuery = nil; h.shown("api_key="+own, own) != nil {
		t.Error("a site that takes no tokens from queries has some there")
	}
}
