package policy

import (
	"strings"
	"testing"
)

// A request on a route in report mode is forwarded, unless some server may find it
// on one that isn't.
func TestReportModeBesideEnforcedRoutes(t *testing.T) {
	const (
		all    = "report"
		target = "GET /files/Private/x"
	)
	for _, c := range []struct {
		name, site, routes string // routes in report mode end in a !
		requests           string
		want               bool // forwarded
	}{
		{"all in report mode", all, "GET /files/* read\nGET /files/private/* admin",
			target + "\nGET /files/../x\nGET /nothing\nGET /files/x?_method=DELETE\nGET /files/(S(x))/y\nPOST /files/x", true},
		{"what is enforced asks for nothing", all, "GET /files/* read\nGET /files/private/* public=", target + "\nGET /files/../x\nGET /nothing", true},
		{"a route beside one that is enforced", all, "GET /files/* read\nGET /files/private/* admin=", "GET /files/x\nGET /files/x.json\nGET /nothing\nGET /No.thing\nPOST /files/private/x", true},
		{"in another case", all, "GET /files/* read\nGET /files/private/* admin=", target + "\nGET /files/priv%61te/x\nGET /files/private+/x\nGET /files/x.php/files/private/y", false},
		{"on no route", all, "GET /files/* read\nGET /private/* admin=", "GET /Private/x\nGET /private.json/../x\nGET /priv%C3%A0te/x\nGET /index.php/private/x\nGET /(S(x))/private/y", false},
		{"on no route, and no more so for any server", all, "GET /files/* read\nGET /private/* admin=", "GET /Privates/x\nPOST /Private/x\nGET /x.y", true},
		{"in no way to be read", all, "GET /files/* read\nGET /private/* admin=", "GET /files/../private/x\nGET //private/x\nGET /files/x?_method=DELETE\nGET /files%2Fx\nget /private/x", false},
		{"by a key of its query", all, "GET /x read\nGET /x?draft=true admin=", "GET /x?Draft=true\nGET /x?draft=1\nGET /x?draft[]=true", false},
		{"by a key that stands twice", all, "GET /x other\nGET /x?draft=true admin=", "GET /x?draft=true&draft=false", false},
		{"part of a site", "", "GET /files/* read!\nGET /files/private/* admin", target + "\nGET /files/../private/x\nGET /nothing", false},
		{"a part all of which is in report mode", "", "GET /files/* read!\nGET /files/private/* admin!\nGET /users/* read", target + "\nGET /files/x.php/files/private/y", true},
		{"a part, and a route that isn't", "", "GET /files/* read!\nGET /files/private/* admin!\nGET /users/* read", "GET /files/x.php/users/private/y\nGET /files/index.php/users/y", false},
	} {
		config := Config{}
		config.Settings.Mode = c.site
		for line := range strings.SplitSeq(c.routes, "\n") {
			rest, report := strings.CutSuffix(line, "!")
			rest, enforce := strings.CutSuffix(rest, "=")
			route := routes(rest)[0]
			route.Mode = map[bool]string{true: "report"}[report] + map[bool]string{true: "enforce"}[enforce]
			config.Routes = append(config.Routes, route)
		}
		p := compile(t, config, "read", "admin > read", "other")
		for r := range strings.SplitSeq(c.requests, "\n") {
			m := p.matched(request(r))
			if got := m.Reports(); got != c.want {
				t.Errorf("%s: %s: %v (%s), forwarded: %v, want %v", c.name, r, m.Reason, m.Detail, got, c.want)
			}
		}
	}
}
