package caddymodule

import (
	"net/http"
	"slices"
	"strings"
)

// sessions are the names of cookies that are let through: with one of them, a request
// needs no token.
type sessions []string

// withhold takes these cookies out of the answer to a request that a token has opened. An
// API that believes what it is told of who is asking may open a session for them, which
// would do all that its owner may, and outlive the token.
func (s sessions) withhold(status int, h http.Header) int {
	if set := h["Set-Cookie"]; slices.ContainsFunc(set, s.sets) {
		if set = slices.DeleteFunc(slices.Clone(set), s.sets); len(set) > 0 {
			h["Set-Cookie"] = set
		} else {
			delete(h, "Set-Cookie")
		}
	}
	return status
}

// sets reports whether a value of Set-Cookie is that of one of the cookies (RFC 6265
// section 5.2), or of a part of one: the rest can be guessed.
func (s sessions) sets(value string) bool {
	pair, _, _ := strings.Cut(value, ";")
	name, _, _ := strings.Cut(pair, "=")
	name = strings.Trim(name, " \t")
	return slices.ContainsFunc(s, func(session string) bool {
		suffix, is := strings.CutPrefix(name, session)
		return is && (suffix == "" || isPart(suffix))
	})
}

// isPart reports whether a cookie whose name is that of another with this suffix is a part
// of it: its signature (cookie-session, Koa), or a piece of a long one (ASP.NET Core,
// Auth.js, mod_auth_openidc).
func isPart(suffix string) bool {
	mark := strings.TrimRight(suffix, "0123456789")
	return suffix == ".sig" || mark != suffix && (mark == "C" || mark == "." || mark == "_" || mark == "-")
}
