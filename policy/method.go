package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/patgate/patgate/internal/spelling"
)

// Methods are the methods of a route: "*" alone, for all of them, or upper-case names. GET
// covers HEAD.
type Methods []string

// Has reports whether requests with the method can be on the route.
func (m Methods) Has(method string) bool { return m.rank(method) > 0 }

// all reports whether the route has every method.
func (m Methods) all() bool { return m[0] == "*" }

// listedRank is the rank of a method that is listed.
const listedRank = 3

// rank says how specifically the route has a method: listedRank, 2 for HEAD by way of GET,
// 1 by "*", 0 not at all.
func (m Methods) rank(method string) int {
	switch {
	case slices.Contains(m, method):
		return listedRank
	case method == "HEAD" && slices.Contains(m, "GET"):
		return 2
	case m.all():
		return 1
	}
	return 0
}

// common returns the methods that both list; "*" where both have all.
func (m Methods) common(other Methods) (methods []string) {
	for _, method := range m {
		if slices.Contains(other, method) {
			methods = append(methods, method)
		}
	}
	return methods
}

// validate returns what is wrong with the methods of a route, or nil.
func (m Methods) validate() error {
	if len(m) == 0 {
		return fmt.Errorf("methods: none given; write * for all")
	}
	if slices.Contains(m, "*") {
		if len(m) > 1 {
			return fmt.Errorf("methods %s: * can't be combined with others", strings.Join(m, ","))
		}
		return nil
	}
	for i, method := range m {
		if err := ValidMethod(method); err != nil {
			return err
		}
		if slices.Contains(m[:i], method) {
			return fmt.Errorf("method %s is given twice", method)
		}
	}
	return nil
}

// ValidMethod returns why no route can have the method, or nil.
func ValidMethod(m string) error {
	if !validMethod(m) {
		return fmt.Errorf("method %q: want upper-case names separated by commas, or *", m)
	}
	if neverPasses(m) {
		return fmt.Errorf("method %s: never let through; a WebSocket over HTTP/2 counts as GET", m)
	}
	return nil
}

// validMethod reports whether m is made of upper-case letters and hyphens
// between them. Others are read as another method by some server.
func validMethod(m string) bool {
	if m == "" || len(m) > 32 || m[0] == '-' || m[len(m)-1] == '-' {
		return false
	}
	for i := 0; i < len(m); i++ {
		if (m[i] < 'A' || m[i] > 'Z') && m[i] != '-' {
			return false
		}
	}
	return true
}

// registeredMethods are those of IANA's registry that may pass, the most frequent first.
var registeredMethods = []string{
	"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY",
	"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
	"MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND", "PROPPATCH", "REBIND", "REPORT", "SEARCH", "UNBIND", "UNCHECKOUT", "UNLINK",
	"UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
}

// misspeltMethod says what a method is probably mistaken for, or returns "". Many that
// aren't registered are in use (PURGE, LIST).
func misspeltMethod(m string) string {
	switch {
	case m == "ALL" || m == "ANY":
		return "is a method of that name; * stands for all"
	case slices.Contains(registeredMethods, m):
		return ""
	}
	for _, registered := range registeredMethods {
		if spelling.ShortSlip(m, registered) {
			return "looks like the method " + registered
		}
	}
	return ""
}

// neverPasses reports whether a method passes on no route: it makes a tunnel, which can't be
// judged, or has a request sent back with its credentials.
func neverPasses(method string) bool {
	return method == http.MethodConnect || method == http.MethodTrace || method == "TRACK"
}

// passableMethod reports whether requests with this method may pass at all.
func passableMethod(method string) bool {
	return validMethod(method) && !neverPasses(method)
}

// namesSecondPath reports whether requests with the method name a second path, in
// Destination (RFC 4918 sections 9.8 and 9.9).
func namesSecondPath(method string) bool { return method == "COPY" || method == "MOVE" }
