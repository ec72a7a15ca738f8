package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/patgate/patgate/internal/spelling"
)

// methodSet is a set of methods. HEAD is in it for GET's sake unless listed.
type methodSet struct {
	all    bool
	listed []string
}

// listedRank is the rank of a method that is listed.
const listedRank = 3

// rank says how specifically the set has a method, or all of them ("*"):
// listedRank, 2 for HEAD by way of GET, 1 by *, 0 not at all.
func (s *methodSet) rank(method string) int {
	switch {
	case s.all:
		return 1
	case slices.Contains(s.listed, method):
		return listedRank
	case method == "HEAD" && slices.Contains(s.listed, "GET"):
		return 2
	}
	return 0
}

// overlap returns the methods for which neither set is more specific; "*" where
// both have all.
func (s *methodSet) overlap(t *methodSet) (methods []string) {
	if s.all && t.all {
		return []string{"*"}
	}
	for _, m := range s.listed {
		if slices.Contains(t.listed, m) {
			methods = append(methods, m)
		}
	}
	return methods
}

func parseMethods(methods []string) (methodSet, error) {
	if len(methods) == 0 {
		return methodSet{}, fmt.Errorf("methods: none given; write * for all")
	}
	if slices.Contains(methods, "*") {
		if len(methods) > 1 {
			return methodSet{}, fmt.Errorf("methods %s: * can't be combined with others", strings.Join(methods, ","))
		}
		return methodSet{all: true}, nil
	}
	for i, m := range methods {
		if err := ValidMethod(m); err != nil {
			return methodSet{}, err
		}
		if slices.Contains(methods[:i], m) {
			return methodSet{}, fmt.Errorf("method %s is given twice", m)
		}
	}
	return methodSet{listed: methods}, nil
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
