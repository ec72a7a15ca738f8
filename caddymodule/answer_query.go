package caddymodule

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/patgate/patgate/internal/mask"
)

// urlTokens cleans the answer to a request with a token in its query, and so in its URL,
// whether the gate took it from there or not. It keeps the answer out of shared caches (RFC
// 6750 section 2.3), the URL out of Referer, and the token out of redirects and links to
// other origins. Within the origin these keep it: an API that redirects to the same URL in
// another form means its clients to follow.
type urlTokens struct {
	request *http.Request
	secrets []string
}

// minShown is how long a value must be to be taken for a token although the gate hasn't
// judged it: shorter ones occur in other texts by chance.
const minShown = 8

// shown returns the tokens in the query of a request to a site that takes tokens from
// there: the one that was judged, the values of keys that may be meant for a token's, and
// patgate's own wherever they are. Some may be the API's own, or nobody's.
func (h *Handler) shown(query, judged string) (secrets []string) {
	if h.inQuery == nil || query == "" {
		return nil
	}
	values, own := h.inQuery.InQuery(query)
	secrets = slices.DeleteFunc(values, func(value string) bool { return value != judged && len(value) < minShown })
	for _, secret := range own {
		if h.policy.IsToken(secret) {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

// clean changes the header before it is sent. Informational answers may carry links.
func (d *urlTokens) clean(status int, h http.Header) int {
	h["Cache-Control"] = private(h["Cache-Control"])
	for name := range h {
		if strings.HasSuffix(name, "Cdn-Cache-Control") || name == "Surrogate-Control" {
			delete(h, name) // shared caches mind it before Cache-Control (RFC 9213)
		}
	}
	if !keepsQuery(h["Referrer-Policy"]) {
		h["Referrer-Policy"] = []string{"no-referrer"}
	}
	for name, clean := range map[string]func(string) string{"Location": d.away, "Content-Location": d.away, "Link": d.links, "Refresh": d.refresh} {
		if !slices.ContainsFunc(h[name], d.shows) {
			continue
		}
		var kept []string
		for _, value := range h[name] {
			if d.shows(value) {
				value = clean(value)
			}
			if value != "" {
				kept = append(kept, value)
			}
		}
		if h[name] = kept; kept == nil {
			delete(h, name)
		}
	}
	return status
}

// keepsQuery reports whether a page with this Referrer-Policy shows its query to no
// other origin, whichever of the policies named a browser knows.
func keepsQuery(values []string) bool {
	for _, value := range values {
		for policy := range strings.SplitSeq(value, ",") {
			switch strings.ToLower(strings.TrimSpace(policy)) {
			case "no-referrer", "same-origin", "origin", "strict-origin", "origin-when-cross-origin", "strict-origin-when-cross-origin":
			default:
				return false
			}
		}
	}
	return len(values) > 0
}

// target matches a reference in a Link (RFC 8288 section 3).
var target = regexp.MustCompile(`<[^<>]*>`)

// links returns the value of a Link without the token in references that lead elsewhere;
// "" where it can't be told for certain which these are.
func (d *urlTokens) links(value string) string {
	n := len(target.FindAllString(value, -1))
	if strings.Count(value, "<") != n || strings.Count(value, ">") != n || d.shows(target.ReplaceAllString(value, "")) {
		return ""
	}
	return target.ReplaceAllStringFunc(value, func(s string) string { return "<" + d.away(s[1:len(s)-1]) + ">" })
}

// refreshed matches a Refresh with a reference, in quotes or not, as browsers read it (HTML
// standard, section 4.2.5.3).
var refreshed = regexp.MustCompile(`^(?i)(\s*[\d.]*\s*[;,\s]\s*(?:url\s*=\s*)?)(?:"([^"]*)"|'([^']*)'|([^"'\s]+))\s*$`)

// refresh returns the value of a Refresh without the token, if it leads elsewhere; ""
// where it can't be told for certain.
func (d *urlTokens) refresh(value string) string {
	m := refreshed.FindStringSubmatch(value)
	if m == nil {
		return ""
	}
	reference := m[2] + m[3] + m[4] // one of them
	if !d.leaks(reference) {
		return value
	}
	return m[1] + d.without(reference)
}

// shows reports whether a text has a token in it, percent-encoded or not.
func (d *urlTokens) shows(text string) bool {
	text = mask.Decoded(text)
	return slices.ContainsFunc(d.secrets, func(secret string) bool { return strings.Contains(text, secret) })
}

// leaks reports whether a reference has the token in it and leads elsewhere.
// Browsers drop blanks before it, and tabs in it, take backslashes for slashes, and any number of
// these for two (URL standard, section 4.4).
func (d *urlTokens) leaks(reference string) bool {
	if !d.shows(reference) {
		return false
	}
	u, err := url.Parse(reference)
	if err != nil || strings.ContainsAny(reference, "\\\t") || strings.HasPrefix(reference, " ") || strings.HasPrefix(reference, "///") || u.Scheme != "" && u.Host == "" {
		return true
	}
	scheme := "http"
	if d.request.TLS != nil || strings.EqualFold(d.request.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	if u.Scheme != "" && u.Scheme != "https" && u.Scheme != scheme {
		return true
	}
	port := map[string]string{"http": ":80", "https": ":443"}[cmp.Or(u.Scheme, scheme)]
	return u.Host != "" && !strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(d.request.Host, port))
}

// away returns a reference as it may be sent: without the token, if it leads elsewhere.
func (d *urlTokens) away(reference string) string {
	if d.leaks(reference) {
		return d.without(reference)
	}
	return reference
}

// without returns a reference without the token: without the parameters that have it or,
// where it is elsewhere, without all that follows the host.
func (d *urlTokens) without(reference string) string {
	u, err := url.Parse(reference)
	if err != nil {
		return "/"
	}
	pairs := slices.DeleteFunc(strings.Split(u.RawQuery, "&"), d.shows)
	u.RawQuery, u.Fragment, u.RawFragment = strings.Join(pairs, "&"), "", ""
	switch {
	case d.shows(u.Host):
		return "/"
	case d.shows(u.String()):
		return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}).String()
	}
	return u.String()
}

// private returns a Cache-Control that keeps shared caches from storing (RFC 9111
// section 5.2.2).
func private(values []string) []string {
	kept := []string{"private"}
	for _, value := range values {
		for directive := range strings.SplitSeq(value, ",") {
			directive = strings.TrimSpace(directive)
			name, _, _ := strings.Cut(strings.ToLower(directive), "=")
			switch name {
			case "no-store":
				return values
			case "", "public", "private", "s-maxage":
			default:
				kept = append(kept, directive)
			}
		}
	}
	return []string{strings.Join(kept, ", ")}
}
