package registry

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Bounds of what an import holds in memory and stores at once.
const (
	batchLines = 1000
	batchBytes = 4 << 20
	// maxLine is above every line of an export: a record of maxRecordSize whose
	// characters all need escaping is half of it.
	maxLine = 4 << 20
	// maxWarnings bounds what an import says of lines it has taken.
	maxWarnings = 20
)

// ImportResult says what an import did.
type ImportResult struct {
	Stored  int `json:"imported"` // tokens stored now
	Skipped int `json:"skipped"`  // tokens that were there already
	// Guessable counts the tokens stored now with secrets of fewer than 16
	// characters, which somebody may guess in time: better have them replaced.
	Guessable int `json:"guessable"`
	// Differing counts the tokens that were there already with another owner or other
	// grants than their line says, and UnknownScopes those stored now with scopes that
	// the catalog hasn't.
	Differing     int `json:"differing"`
	UnknownScopes int `json:"unknown_scopes"`
	// Warnings name the first lines of both, and of each scope one.
	Warnings []string `json:"warnings,omitempty"`
}

func (r *ImportResult) warn(line int, format string, args ...any) {
	if len(r.Warnings) < maxWarnings {
		r.Warnings = append(r.Warnings, fmt.Sprintf("line %d: "+format, append([]any{line}, args...)...))
	}
}

// Import stores the tokens that in lists, one JSON object a line: a token as clients see
// it, with its secret or its digest. Empty lines are ignored.
//
// Imported tokens keep what they had: their id and times where given, whatever
// lifetime and scopes that makes. No expires_at, or null, means that the token
// never expires. Grants follow the rules of new ones, except that there may be
// none. A key that isn't known is refused, so that nothing is lost.
//
// A token that exists already, with this id and this secret, is skipped and stays as it
// is. The result says whether it has another owner or other grants than the line: it may
// have been changed since, or another token be meant. A line without an id is recognised
// by its secret. A token that exists with only one of id and secret is ErrConflict, and
// so is one that is revoked in the line only.
//
// Lines are stored in batches of 1,000 (fewer, if they are long), each
// completely or not at all. At the first line that is refused the import ends;
// the error begins with the line's number and says what has been stored. The
// same import can then be run again, from its beginning.
func (r *Registry) Import(ctx context.Context, by Actor, in io.Reader) (ImportResult, error) {
	i := importer{registry: r, by: by, unknown: map[string]bool{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() && lines.Err() == nil { // after an error comes a piece of a line
		i.line++
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff"))) // a byte order mark, from Windows
		if len(line) == 0 {
			continue
		}
		if err := i.add(line); err != nil {
			return i.done, i.stopped(fmt.Errorf("line %d: %w", i.line, err))
		}
		if len(i.batch) == batchLines || i.size >= batchBytes {
			if err := i.store(ctx); err != nil {
				return i.done, i.stopped(err)
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return i.done, i.stopped(invalid("line %d: longer than %d bytes", i.line+1, maxLine))
	case err != nil:
		return i.done, i.stopped(fmt.Errorf("reading line %d: %w", i.line+1, err))
	}
	if err := i.store(ctx); err != nil {
		return i.done, i.stopped(err)
	}
	return i.done, nil
}

// importer is an import under way.
type importer struct {
	registry *Registry
	by       Actor
	line     int // read last, from 1
	stored   int // the last line whose batch is stored
	batch    []entry
	size     int // of the batch, in bytes of input
	done     ImportResult
	unknown  map[string]bool // scopes that the catalog hasn't, and that were named
}

type entry struct {
	line      int
	token     *token.Token
	newID     bool // the line gave none
	guessable bool // its secret is
}

// add puts the token of a line into the batch.
func (i *importer) add(line []byte) error {
	var in importLine
	if err := Decode(line, &in); err != nil {
		return err
	}
	t, err := i.registry.parse(&in)
	if err != nil {
		return err
	}
	now := i.registry.clock()
	newID := t.ID == ""
	if newID {
		t.ID = token.NewID(i.registry.now())
	}
	if t.CreatedAt.IsZero() {
		t.CreatedAt = now
	}
	if err := valid(t); err != nil {
		return err
	}
	i.batch = append(i.batch, entry{i.line, t, newID, in.guessable()})
	i.size += len(line)
	return nil
}

// store stores the batch and begins the next.
func (i *importer) store(ctx context.Context) error {
	fresh := i.batch
	err := i.create(ctx, fresh)
	if errors.Is(err, store.ErrExists) {
		if fresh, err = i.fresh(ctx); err != nil {
			return err
		}
		err = i.create(ctx, fresh)
	}
	if err != nil {
		return i.explain(err)
	}
	i.done.Stored += len(fresh)
	for _, e := range fresh {
		if e.guessable {
			i.done.Guessable++
		}
		i.scopes(e)
	}
	i.done.Skipped += len(i.batch) - len(fresh)
	i.stored = i.line
	i.batch, i.size = i.batch[:0], 0
	return nil
}

// scopes counts a token that was stored with scopes that the catalog hasn't, and names
// them.
func (i *importer) scopes(e entry) {
	unknown := false
	for _, g := range e.token.Grants {
		for _, s := range g.Scopes {
			if i.registry.knownScope(s) {
				continue
			}
			unknown = true
			if !i.unknown[s] && len(i.done.Warnings) < maxWarnings {
				i.unknown[s] = true
				i.done.warn(e.line, "%v", i.registry.unknownScope(s))
			}
		}
	}
	if unknown {
		i.done.UnknownScopes++
	}
}

// create stores the tokens of entries, all or none.
func (i *importer) create(ctx context.Context, entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	tokens, events := make([]*token.Token, len(entries)), make([]Event, len(entries))
	for n, e := range entries {
		tokens[n] = e.token
		events[n] = i.registry.event(i.by, Imported, nil, e.token, "")
	}
	if err := i.registry.store.Create(recording(ctx, &events), tokens...); err != nil {
		return err
	}
	i.registry.tell(events)
	return nil
}

// fresh returns the entries of the batch whose tokens aren't there already,
// neither in the store nor before them in the batch.
func (i *importer) fresh(ctx context.Context) ([]entry, error) {
	var fresh []entry
	ids, digests := map[string]*token.Token{}, map[token.Digest]*token.Token{}
	for _, e := range i.batch {
		byID, bySecret := ids[e.token.ID], digests[e.token.Digest]
		if byID == nil {
			t, err := i.registry.store.Token(ctx, e.token.ID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, fmt.Errorf("line %d: reading token %s: %w", e.line, e.token.ID, err)
			}
			byID = t
		}
		if bySecret == nil {
			found, err := i.registry.store.Find(ctx, e.token.Digest)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, fmt.Errorf("line %d: looking its secret up: %w", e.line, err)
			}
			bySecret = found.Token
		}
		if byID == nil && bySecret == nil {
			ids[e.token.ID], digests[e.token.Digest] = e.token, e.token
			fresh = append(fresh, e)
			continue
		}
		if err := e.repeats(byID, bySecret); err != nil {
			return nil, fmt.Errorf("line %d: %w", e.line, err)
		}
		if what := e.differs(bySecret); what != "" {
			i.done.Differing++
			i.done.warn(e.line, "token %s is there already, with %s, and stays as it is", bySecret.ID, what)
		}
	}
	return fresh, nil
}

// repeats returns nil if the entry's token is the one that is there with its id
// and with its secret (nil where there is none).
func (e entry) repeats(byID, bySecret *token.Token) error {
	switch {
	case bySecret == nil:
		return conflict("token %s is there already, with another secret", byID.ID)
	case bySecret.ID != e.token.ID && !e.newID:
		return conflict("its secret is there already, as that of token %s", bySecret.ID)
	case bySecret.Digest != e.token.Digest:
		return conflict("its secret is there already, as a replaced one of token %s", bySecret.ID)
	case bySecret.RevokedAt.IsZero() && !e.token.RevokedAt.IsZero():
		return conflict("token %s is there already, but not revoked as it is here: revoke it first", bySecret.ID)
	}
	return nil
}

// differs says in what the existing token differs from the entry's; "": they may do the
// same.
func (e entry) differs(there *token.Token) string {
	owner := there.Owner != e.token.Owner
	grants := !slices.EqualFunc(there.Grants, e.token.Grants, token.EqualGrant)
	switch {
	case owner && grants:
		return "another owner and other grants"
	case owner:
		return "another owner"
	case grants:
		return "other grants"
	}
	return ""
}

// explain says where in the input a store's error belongs.
func (i *importer) explain(err error) error {
	if exists, ok := errors.AsType[*store.ExistsError](err); ok {
		for _, e := range i.batch {
			if e.token.ID == exists.ID {
				return conflict("line %d: its %s is there already", e.line, exists.By)
			}
		}
	}
	return fmt.Errorf("storing lines %d to %d: %w", i.batch[0].line, i.line, err)
}

// stopped says what an import that ended with err has done.
func (i *importer) stopped(err error) error {
	if i.stored == 0 {
		return fmt.Errorf("%w; imported before that: nothing", err)
	}
	return fmt.Errorf("%w; imported before that: the lines up to %d", err, i.stored)
}
