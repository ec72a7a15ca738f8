package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/patgate/patgate/token"
)

const foreignSecret = "an-old-system-1234"

var plain = token.NewHasher("")

// lines imports them, joined.
func (d *desk) lines(t *testing.T, lines ...string) (ImportResult, error) {
	t.Helper()
	return d.Import(t.Context(), cli, strings.NewReader(strings.Join(lines, "\n")))
}

func TestImportedRecord(t *testing.T) {
	t.Parallel()
	digest := plain.Digest(foreignSecret)
	minimal := func(change func(*token.Token)) *token.Token {
		tok := &token.Token{ID: "7", Name: "n", CreatedAt: noon, Digest: digest}
		change(tok)
		return tok
	}
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

	for _, c := range []struct {
		name, keys string // besides id, name and digest
		want       func(*token.Token)
	}{
		{"nothing else", ``, func(*token.Token) {}},
		{"texts", `"description":"d","owner":" O ","created_by":"old","hint":"an-…"`,
			func(t *token.Token) { t.Description, t.Owner, t.CreatedBy, t.Hint = "d", " O ", "old", "an-…" }},
		{"times", `"created_at":"2020-01-02T00:00:00Z","expires_at":"2021-01-02T01:00:00+01:00","revoked_at":"2020-06-01","last_used_at":"2020-05-01T00:00:00Z"`,
			func(t *token.Token) {
				t.CreatedAt, t.ExpiresAt, t.RevokedAt, t.LastUsedAt = day(2020, 1, 2), day(2021, 1, 2), day(2020, 6, 1), day(2020, 5, 1)
			}},
		{"null is what is absent", `"owner":null,"grants":null,"allowed_ips":null,"created_at":null,"expires_at":null,"revoked_at":null,"last_used_at":null,"last_used_ip":null,"retired":null`, func(*token.Token) {}},
		{"a lifetime beyond the maximum", `"expires_at":"2100-01-01T00:00:00Z"`, func(t *token.Token) { t.ExpiresAt = day(2100, 1, 1) }},
		{"addresses", `"allowed_ips":["10.0.0.0/8","::1"],"last_used_ip":"192.0.2.1"`, func(t *token.Token) {
			t.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
			t.LastUsedIP = netip.MustParseAddr("192.0.2.1")
		}},
		{"a status that follows from the times", `"status":"revoked","revoked_at":"2020-06-01"`, func(t *token.Token) { t.RevokedAt = day(2020, 6, 1) }},
		{"revoked by a clock that is ahead", `"revoked_at":"2026-11-22T13:00:00Z"`, func(t *token.Token) { t.RevokedAt = noon.Add(time.Hour) }},
		{"one from before it expired", `"status":"active","expires_at":"2021-01-02T00:00:00Z"`, func(t *token.Token) { t.ExpiresAt = day(2021, 1, 2) }},
		{"grants, completed", `"grants":[{"spaces":["1","1"],"scopes":["a"]}]`, func(t *token.Token) { t.Grants = []token.Grant{grant("1", "a", "*")} }},
		{"scopes the catalog doesn't have", `"grants":[{"spaces":["1"],"scopes":["zzz"],"resources":["7"]}]`, func(t *token.Token) { t.Grants = []token.Grant{grant("1", "zzz", "7")} }},
		{"retired secrets", `"retired":[{"digest":"` + plain.Format(plain.Digest("x")) + `","until":"2027-01-01T00:00:00Z"}]`,
			func(t *token.Token) {
				t.Retired = []token.RetiredSecret{{Digest: plain.Digest("x"), Until: day(2027, 1, 1)}}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(withSpaces, withScopes("a"))
			line := `{"id":"7","name":"n","digest":"` + plain.Format(digest) + `"`
			if c.keys != "" {
				line += "," + c.keys
			}
			done, err := d.lines(t, line+"}")
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "stored", done.Stored, 1)
			got, err := d.get(t.Context(), "7")
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "token", got, minimal(c.want))
			d.took(t, Imported)
		})
	}
}

func TestImportCompletes(t *testing.T) {
	t.Parallel()
	d := newDesk()
	own := token.NewSecret("pat")
	if _, err := d.lines(t, "\ufeff"+`{"name":"foreign","hint":"long enough to be ignored, and given with the secret","secret":"`+foreignSecret+`"}`, "", " \r", `{"name":"own","secret":"`+own+`"}`); err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]*token.Token{
		foreignSecret: {Name: "foreign", Hint: "an-…"},
		own:           {Name: "own", Hint: own[:7] + "…"},
	} {
		got, err := d.Verify(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := token.ValidID(got.ID); err != nil {
			t.Error(err)
		}
		want.ID, want.CreatedAt, want.Digest = got.ID, noon, plain.Digest(secret)
		equal(t, want.Name, got, want)
	}
	d.took(t, Imported, Imported)
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	const secret = `"secret":"` + foreignSecret + `"`
	own := token.NewSecret("pat")
	typo := own[:len(own)-1] + string("ab"[own[len(own)-1]&1])
	hmac := token.NewHasher("pepper")

	for _, c := range []struct {
		name, line string
		says       []string
	}{
		{"not JSON", `name,secret`, []string{"not valid JSON"}},
		{"revoked, but not since when", `{"name":"n",` + secret + `,"status":"revoked"}`, []string{"status: revoked", "revoked_at"}},
		{"expired, but not yet", `{"name":"n",` + secret + `,"status":"expired","expires_at":"2100-01-01"}`, []string{"status: expired", "expires_at"}},
		{"active, and revoked", `{"name":"n",` + secret + `,"status":"active","revoked_at":"2020-06-01"}`, []string{"status: active", "revoked_at"}},
		{"revoked in the future", `{"name":"n",` + secret + `,"revoked_at":"2099-01-01"}`, []string{"revoked_at", "2099-01-01", "in the future", "expires_at"}},
		{"another status", `{"name":"n",` + secret + `,"status":"zzz"}`, []string{`status "zzz"`, "want active, expired or revoked"}},
		{"cut", `{"name":"n"`, []string{"not valid JSON", "ends too early"}},
		{"two on a line", `{"name":"n",` + secret + `}{}`, []string{"follows"}},
		{"a list", `[]`, []string{"JSON object", "array"}},
		{"not UTF-8", "{\"name\":\"\xff\"," + secret + "}", []string{"UTF-8"}},
		{"an unknown key", `{"name":"n","expiry":null,` + secret + `}`, []string{`unknown key "expiry"`}},
		{"an unknown key in a grant", `{"name":"n",` + secret + `,"grants":[{"spaces":["1"],"scope":["a"]}]}`, []string{`unknown key "scope"`}},
		{"a key twice", `{"name":"n","owner":"a","owner":"b",` + secret + `}`, []string{`key "owner" is given twice`}},
		{"a key twice, in another case", `{"name":"n","owner":"a","Owner":"b",` + secret + `}`, []string{`key "Owner" is given twice`}},
		{"a key of a grant twice", `{"name":"n",` + secret + `,"grants":[{"spaces":["1"],"spaces":["2"]}]}`, []string{`key "spaces" is given twice`}},
		{"a wrong type", `{"name":"n","allowed_ips":"10.0.0.1",` + secret + `}`, []string{"allowed_ips", "string"}},
		{"a number for a secret", `{"name":"n","secret":123456789012345678}`, []string{"secret", "number"}},

		{"no name", `{` + secret + `}`, []string{"name"}},
		{"an id that is none", `{"id":"a b","name":"n",` + secret + `}`, []string{"id"}},
		{"a long hint", `{"name":"n","digest":"` + plain.Format(plain.Digest("x")) + `","hint":"` + strings.Repeat("x", 33) + `"}`, []string{"hint", "at most 32"}},
		{"a control character", `{"name":"n","created_by":"a\nb",` + secret + `}`, []string{"created_by", "control"}},

		{"neither secret nor digest", `{"name":"n"}`, []string{"secret", "digest"}},
		{"both secret and digest", `{"name":"n",` + secret + `,"digest":"` + plain.Format(plain.Digest("x")) + `"}`, []string{"one of them"}},
		{"own prefix, wrong checksum", `{"name":"n","secret":"` + typo + `"}`, []string{"could never be accepted", "checksum"}},
		{"a blank in the secret", `{"name":"n","secret":"an old system 1234"}`, []string{"could never be accepted"}},
		{"a digest that is none", `{"name":"n","digest":"md5:d41d8cd98f00b204e9800998ecf8427e"}`, []string{"digest", "sha256:"}},
		{"a digest under a pepper", `{"name":"n","digest":"` + hmac.Format(hmac.Digest("x")) + `"}`, []string{"pepper"}},
		{"a retired digest that is none", `{"name":"n",` + secret + `,"retired":[{"digest":"x","until":"2027-01-01"}]}`, []string{"retired", "digest"}},
		{"a retired one without an end", `{"name":"n",` + secret + `,"retired":[{"digest":"` + plain.Format(plain.Digest("x")) + `"}]}`, []string{"retired: until"}},
		{"too many retired", `{"name":"n",` + secret + `,"retired":[{},{},{},{},{}]}`, []string{"at most 4"}},
		{"the secret among the retired", `{"name":"n",` + secret + `,"retired":[{"digest":"` + plain.Format(plain.Digest(foreignSecret)) + `","until":"2027-01-01"}]}`, []string{"retired", "twice"}},

		{"not a time", `{"name":"n",` + secret + `,"created_at":"pat_in-the-wrong-column"}`, []string{"created_at"}},
		{"the zero time", `{"name":"n",` + secret + `,"expires_at":"0001-01-01T00:00:00Z"}`, []string{"expires_at", "1970", "null"}},
		{"the end of time", `{"name":"n",` + secret + `,"expires_at":"9999-12-31T23:59:59-10:00"}`, []string{"expires_at", "9999", "null"}},
		{"not an address", `{"name":"n",` + secret + `,"last_used_ip":"pat_in-the-wrong-column"}`, []string{"last_used_ip"}},
		{"not a range", `{"name":"n",` + secret + `,"allowed_ips":["pat_in-the-wrong-column"]}`, []string{"allowed_ips: number 1"}},

		{"a grant that doesn't say where", `{"name":"n",` + secret + `,"grants":[{"scopes":["a"]}]}`, []string{"number 1", "say which spaces"}},
		{"a grant of nothing", `{"name":"n",` + secret + `,"grants":[{"spaces":[]}]}`, []string{"spaces: empty"}},
		{"a scope that can't be", `{"name":"n",` + secret + `,"grants":[{"spaces":["1"],"scopes":["a b"]}]}`, []string{"scope"}},
		{"too long", `{"name":"` + strings.Repeat("x", maxLine) + `"}`, []string{"longer than"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(withSpaces)
			good := `{"name":"good","secret":"an-old-system-0000"}`
			done, err := d.lines(t, good, "", c.line, good)
			refused(t, err, ErrInvalid, append(c.says, "line 3: ", "imported before that: nothing")...)
			for _, s := range []string{foreignSecret, typo, "an old system 1234", "123456789012345678", "wrong-column"} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("error %q carries a secret", err)
				}
			}
			equal(t, "result", done, ImportResult{})
			equal(t, "tokens stored", len(d.store.tokens), 0)
			d.took(t)
		})
	}
}

// numbered returns n lines, each of a token of its own.
func numbered(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"id":"t%06d","name":"n","secret":"an-old-system-%06d"}`, i+1, i+1)
	}
	return lines
}

// What another system took for a secret is taken over, and said where it is weak.
func TestImportGuessable(t *testing.T) {
	t.Parallel()
	d := newDesk()
	lines := []string{
		`{"name":"n","secret":"hunter2-hunter2"}`, `{"name":"n","secret":"x"}`, `{"name":"n","secret":"hunter2-hunter22"}`,
		`{"name":"n","digest":"` + plain.Format(plain.Digest("y")) + `"}`,
	}
	done, err := d.lines(t, lines...)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "result", done, ImportResult{Stored: 4, Guessable: 2})
	if got, err := d.Verify(t.Context(), "x"); err != nil || got.Name != "n" {
		t.Errorf("Verify: %v, %v", got, err)
	}
	done, err = d.lines(t, lines...)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "result, again", done, ImportResult{Skipped: 4})
}

// What is taken, or left as it is, and probably not meant so is said.
func TestImportWarns(t *testing.T) {
	t.Parallel()
	d := newDesk(withScopes("stories:read", "assets:read"))
	line := func(secret, owner, scopes string) string {
		return `{"name":"n","secret":"an-old-systems-token-` + secret + `","owner":"` + owner + `","grants":[{"scopes":["` + scopes + `"]}]}`
	}
	done, err := d.lines(t,
		line("1", "alice", "storeis:read"), line("2", "alice", `storeis:read","stories:*","Stories:*`), line("3", "alice", "*"),
		line("3", "bob", "*")) // the same secret in one file
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(done.Warnings[0], "line 4: token ") || !strings.HasSuffix(done.Warnings[0], " is there already, with another owner, and stays as it is") {
		t.Errorf("it warns of %q, want of line 4 first", done.Warnings)
	}
	equal(t, "scopes named", done.Warnings[1:], []string{
		`line 1: scope "storeis:read": the catalog has none like it; the nearest: stories:read, assets:read`,
		`line 2: scope "Stories:*": the catalog has none like it; the nearest: stories:read, assets:read`,
	})
	done.Warnings = nil
	equal(t, "result", done, ImportResult{Stored: 3, Skipped: 1, Differing: 1, UnknownScopes: 2})

	done, err = d.lines(t, line("1", "alice", "storeis:read"), line("2", "bob", "assets:read"), line("3", "alice", "assets:read"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"line 2: token ", ", with another owner and other grants,", "line 3: token ", ", with other grants,"} {
		if !strings.Contains(done.Warnings[i/2], want) {
			t.Errorf("it warns %q, want %q", done.Warnings[i/2], want)
		}
	}
	done.Warnings = nil
	equal(t, "result, again", done, ImportResult{Skipped: 3, Differing: 2})

	many := make([]string, 2*maxWarnings)
	for i := range many {
		many[i] = line("1", "carol", "*")
	}
	if done, err = d.lines(t, many...); err != nil || done.Differing != len(many) || len(done.Warnings) != maxWarnings {
		t.Errorf("%d lines: %d differing, %d warnings, %v, want them all, %d and no error", len(many), done.Differing, len(done.Warnings), err, maxWarnings)
	}
}

func TestImportAgain(t *testing.T) {
	t.Parallel()
	d := newDesk()
	lines := numbered(2500)
	broken := append([]string{}, lines...)
	broken[2200] = `{"id":"t002201","name":"n","secret":"a blank"}`
	done, err := d.lines(t, broken...)
	refused(t, err, ErrInvalid, "line 2201: ", "imported before that: the lines up to 2000")
	equal(t, "result", done, ImportResult{Stored: 2000})
	equal(t, "stored", len(d.store.tokens), 2000)
	equal(t, "events", len(d.events), 2000)

	if _, err := d.Operator(cli).Update(t.Context(), "t000001", Changes{Name: new("mine")}); err != nil {
		t.Fatal(err)
	}
	d.events = nil
	done, err = d.lines(t, lines...)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "result, mended", done, ImportResult{Stored: 500, Skipped: 2000})
	equal(t, "events", len(d.events), 500)
	got, err := d.get(t.Context(), "t000001")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "name of a skipped one", got.Name, "mine")

	done, err = d.lines(t, append(lines, lines...)...)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "result, all twice", done, ImportResult{Skipped: 5000})
}

// A token of another system may expire very late, or before it was made.
func TestImportOddTimes(t *testing.T) {
	t.Parallel()
	d := newDesk(withoutLimit)
	if _, err := d.lines(t,
		`{"name":"late","secret":"an-old-system-1","expires_at":"9999-12-31T23:59:59Z"}`,
		`{"name":"odd","secret":"an-old-system-2","created_at":"2030-01-01","expires_at":"2029-01-01"}`,
		`{"name":"none","secret":"an-old-system-3","created_at":"2029-01-01","expires_at":"2029-01-01"}`); err != nil {
		t.Fatal(err)
	}
	late, err := d.Verify(t.Context(), "an-old-system-1")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "expires_at", late.ExpiresAt.Year(), 9999)
	for _, secret := range []string{"an-old-system-2", "an-old-system-3"} {
		b := d.bearer(t, secret)
		_, _, err := b.Regenerate(t.Context(), Renewal{Lifetime: Lifetime{ExpiresAt: new("2029-01-02")}})
		refused(t, err, ErrForbidden, "no longer life")
		got, fresh, err := b.Regenerate(t.Context(), Renewal{})
		if err != nil {
			t.Fatal(err)
		}
		if got.ExpiresAt.Year() > 2029 || !got.ExpiresAt.After(noon) {
			t.Errorf("it expires at %s", got.ExpiresAt)
		}
		d.bearer(t, fresh)
	}
}

func TestImportOfWhatIsThere(t *testing.T) {
	t.Parallel()
	const other = "an-other-system-1234"
	there := `{"id":"a","name":"n","secret":"` + foreignSecret + `"}`
	line := func(id, secret, more string) string {
		if id != "" {
			id = `"id":"` + id + `",`
		}
		return `{` + id + `"name":"n","secret":"` + secret + `"` + more + `}`
	}
	replaced := func(d *desk) { // a's secret
		if _, _, err := d.Operator(cli).Regenerate(t.Context(), "a", Renewal{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		then  func(*desk)
		line  string
		says  []string // refused with these words; nil: skipped
		fresh bool     // not skipped, but stored
	}{
		{"the same", nil, there, nil, false},
		{"the same by its digest", nil, `{"id":"a","name":"n","digest":"` + plain.Format(plain.Digest(foreignSecret)) + `"}`, nil, false},
		{"the same without its id", nil, line("", foreignSecret, ""), nil, false},
		{"another", nil, line("b", other, ""), nil, true},
		{"another without its id", nil, line("", other, ""), nil, true},
		{"another secret", nil, line("a", other, ""), []string{"token a is there already, with another secret"}, false},
		{"another id", nil, line("b", foreignSecret, ""), []string{"secret is there already, as that of token a"}, false},
		{"another that was revoked", nil, line("b", other, `,"revoked_at":"2026-01-01"`), nil, true},
		{"the same, but revoked", nil, line("a", foreignSecret, `,"revoked_at":"2026-01-01"`), []string{"token a", "not revoked"}, false},
		{"a replaced secret", replaced, there, []string{"secret is there already, as a replaced one of token a"}, false},
		{"a replaced secret without its id", replaced, line("", foreignSecret, ""), []string{"as a replaced one of token a"}, false},
		{"a retired secret that is there", nil, line("b", other, `,"retired":[{"digest":"`+plain.Format(plain.Digest(foreignSecret))+`","until":"2027-01-01"}]`),
			[]string{"its secret is there already"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// What is there is so from another import, or from this one: in the
			// same batch it can't have been changed meanwhile.
			for _, sameImport := range []bool{false, true} {
				if sameImport && c.then != nil {
					continue
				}
				d := newDesk()
				lines := []string{"", c.line}
				if sameImport {
					lines[0] = there
				} else if _, err := d.lines(t, there); err != nil {
					t.Fatal(err)
				}
				if c.then != nil {
					c.then(d)
				}
				before := len(d.store.tokens)
				done, err := d.lines(t, lines...)
				switch {
				case c.says != nil:
					refused(t, err, ErrConflict, append(c.says, "line 2: ")...)
					equal(t, "stored meanwhile", len(d.store.tokens), before)
				case err != nil:
					t.Fatal(err)
				case sameImport && c.fresh:
					equal(t, "result", done, ImportResult{Stored: 2})
				case sameImport:
					equal(t, "result", done, ImportResult{Stored: 1, Skipped: 1})
				case c.fresh:
					equal(t, "result", done, ImportResult{Stored: 1})
				default:
					equal(t, "result", done, ImportResult{Skipped: 1})
				}
			}
		})
	}
}

func TestImportReadsAndStoresOrSaysNo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	all := strings.Join(numbered(2500), "\n")

	d := newDesk()
	_, err := d.Import(ctx, cli, iotest.TimeoutReader(strings.NewReader(all)))
	if !errors.Is(err, iotest.ErrTimeout) || errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "reading line ") {
		t.Errorf("import of what can't be read: %v", err)
	}
	equal(t, "stored", len(d.store.tokens), 0)

	creates := 0
	d.store.fail = func(method string) error {
		if method == "Create" {
			if creates++; creates == 2 {
				return errDown
			}
		}
		return nil
	}
	done, err := d.Import(ctx, cli, strings.NewReader(all))
	if !errors.Is(err, errDown) || !strings.Contains(err.Error(), "storing lines 1001 to 2000") || !strings.Contains(err.Error(), "up to 1000") {
		t.Errorf("import into a store that fails: %v", err)
	}
	equal(t, "result", done, ImportResult{Stored: 1000})
	equal(t, "events", len(d.events), 1000)
}

func TestExportIsImportable(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from := newDesk(func(r *Rules) { r.Hasher = token.NewHasher("pepper") })
	for i := range 2*MaxLimit + 3 {
		from.create(t, NewToken{Name: fmt.Sprintf("no. %d <&>", i), Owner: "alice"})
	}
	many, _ := from.create(t, NewToken{Description: "\"quoted\" \u200b", Full: true, AllowedIPs: []string{"10.0.0.0/8"}})
	if _, _, err := from.Operator(cli).Regenerate(ctx, many.ID, Renewal{Overlap: new("1h")}); err != nil {
		t.Fatal(err)
	}
	dead, _ := from.create(t, NewToken{Grants: []token.Grant{grant("1 2", "-", "7")}})
	if _, err := from.Operator(cli).Revoke(ctx, dead.ID); err != nil {
		t.Fatal(err)
	}
	used := &token.Token{ID: "used", Name: "x", CreatedAt: noon.Add(1), Digest: token.Digest{1}, LastUsedAt: noon.Add(123456789), LastUsedIP: netip.MustParseAddr("::1")}
	if err := from.store.Create(ctx, used); err != nil {
		t.Fatal(err)
	}

	var out strings.Builder
	if err := from.Export(ctx, &out); err != nil {
		t.Fatal(err)
	}
	to := newDesk(func(r *Rules) { *r = from.rules; r.Spaces = true })
	done, err := to.Import(ctx, cli, strings.NewReader(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "result", done, ImportResult{Stored: len(from.store.tokens)})
	equal(t, "tokens", to.store.tokens, from.store.tokens)
	done, err = from.Import(ctx, cli, strings.NewReader(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "result, where it came from", done, ImportResult{Skipped: len(from.store.tokens)})

	if err := from.Export(ctx, brokenWriter{}); !errors.Is(err, errDown) {
		t.Errorf("export to what can't be written: %v", err)
	}
}

// A record of the largest size, all of whose characters need escaping, fits on a
// line of an import.
func TestLargestRecordIsImportable(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	huge := &token.Token{ID: "huge", Name: "x", CreatedAt: noon, Digest: token.Digest{1}}
	for i := range 10 {
		g := token.Grant{Resources: []string{"*"}}
		for j := range 390 {
			g.Spaces = append(g.Spaces, strings.Repeat(`"`, 250)+fmt.Sprintf("%06d", 1000*i+j))
		}
		huge.Grants = append(huge.Grants, g)
	}
	if n := len(huge.Encode(nil)); n > maxRecordSize || n < maxRecordSize*9/10 {
		t.Fatalf("record of %d bytes, want nearly %d", n, maxRecordSize)
	}
	from, to := newDesk(), newDesk()
	if err := from.store.Create(ctx, huge); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := from.Export(ctx, &out); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Import(ctx, cli, strings.NewReader(out.String())); err != nil {
		t.Fatal(err)
	}
	equal(t, "tokens", to.store.tokens, from.store.tokens)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errDown }

func FuzzImportLine(f *testing.F) {
	d := newDesk(withSpaces)
	f.Add(`{"id":"7","name":"n","owner":"o","grants":[{"spaces":["1"],"scopes":["a:*"],"resources":["*"]}],"secret":"SECRET"}`)
	f.Add(`{"name":"n","allowed_ips":["10.0.0.0/8","::1"],"created_at":"2020-01-02T00:00:00Z","expires_at":null,"last_used_ip":"192.0.2.1","secret":"SECRET"}`)
	f.Add(`{"name":"n","hint":"pat_","digest":"` + plain.Format(plain.Digest("x")) + `","retired":[{"digest":"` + plain.Format(plain.Digest("y")) + `","until":"2027-01-01"}]}`)
	f.Add(`{"created_at":"SECRET"}`)
	f.Add(`{"allowed_ips":["SECRET"],"last_used_ip":"SECRET"}`)
	f.Add(`{"a":[{"b":{}}],"a":1}`)
	f.Fuzz(func(t *testing.T, line string) {
		store := newFakeStore()
		r := New(store, d.rules, Options{Now: func() time.Time { return noon }})
		line = strings.ReplaceAll(line, `"secret":"SECRET"`, `"secret":"`+foreignSecret+`"`)
		_, err := r.Import(t.Context(), cli, strings.NewReader(line))
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrConflict) {
				t.Errorf("import of %q: %v, want a refusal", line, err)
			}
			if strings.Count(line, foreignSecret) == 1 && strings.Contains(err.Error(), foreignSecret) {
				t.Errorf("import of %q: %v carries the secret", line, err)
			}
			return
		}
		// What is taken survives an export.
		var out strings.Builder
		if err := r.Export(t.Context(), &out); err != nil {
			t.Fatalf("export of %q: %v", line, err)
		}
		again := newFakeStore()
		if _, err := New(again, d.rules, Options{}).Import(context.Background(), cli, strings.NewReader(out.String())); err != nil {
			t.Fatalf("import of %q from export %q: %v", line, out.String(), err)
		}
		equal(t, "tokens", again.tokens, store.tokens)
	})
}

func BenchmarkImport(b *testing.B) {
	b.ReportAllocs()
	all := strings.Join(numbered(10_000), "\n")
	for b.Loop() {
		if _, err := New(newFakeStore(), usualRules(), Options{}).Import(b.Context(), cli, strings.NewReader(all)); err != nil {
			b.Fatal(err)
		}
	}
}
