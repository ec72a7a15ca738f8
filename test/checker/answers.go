package checker

import (
	"slices"
	"strings"
)

// Answer is a set of answers to requests.
type Answer uint16

// The answers there are.
const (
	Forwarded Answer = 1 << iota
	Unknown
	Revoked
	OwnerDisabled
	ScopeMissing
	SpaceNotGranted
	Unavailable
	Unexpected // anything else
	NoAnswer   // not even that
)

var answerNames = []string{
	"forward", "token_unknown", "token_revoked", "owner_disabled", "scope_missing", "space_not_granted", "store_unavailable", "something else", "no answer",
}

// AnswerFor returns the answer with a status and a reason.
func AnswerFor(status int, reason string) Answer {
	statuses := map[Answer]int{Forwarded: 200, Unknown: 401, Revoked: 401, OwnerDisabled: 401, ScopeMissing: 403, SpaceNotGranted: 403, Unavailable: 503}
	if status == 200 {
		return Forwarded
	}
	if i := slices.Index(answerNames, reason); i > 0 && statuses[1<<i] == status {
		return 1 << i
	}
	return Unexpected
}

func (a Answer) String() string {
	var names []string
	for i, name := range answerNames {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, " or ")
}
