package registry

import (
	"testing"

	"github.com/patgate/patgate/token"
)

func TestOwnersStayBelowTheirCeiling(t *testing.T) {
	t.Parallel()
	implied := func(r *Rules) {
		r.Scopes = []string{"stories:read", "stories:write", "users:read", "x:y:z"}
		r.ImpliedBy = map[string][]string{"stories:read": {"stories:read", "stories:write"}}
	}
	for _, c := range []struct {
		name    string
		ceiling []token.Grant // nil: no record
		asked   token.Grant
		beyond  string // what is; "": nothing
	}{
		{"no record", nil, token.Full(), ""},
		{"everything", []token.Grant{token.Full()}, token.Full(), ""},
		{"nothing at all", []token.Grant{}, grant("1", "stories:read", "*"), `scope stories:read in space "1"`},
		{"the same", []token.Grant{grant("1", "stories:read", "*")}, grant("1", "stories:read", "*"), ""},
		{"less in each", []token.Grant{grant("1 2", "stories:read users:read", "5 6")}, grant("2", "users:read", "6"), ""},
		{"another space", []token.Grant{grant("1", "stories:read", "*")}, grant("1 2", "stories:read", "*"), `scope stories:read in space "2"`},
		{"all spaces", []token.Grant{grant("1", "stories:read", "*")}, grant("*", "stories:read", "*"), `scope stories:read in all spaces`},
		{"another scope", []token.Grant{grant("*", "stories:read", "*")}, grant("1", "stories:read users:read", "*"), `scope users:read in space "1"`},
		{"another resource", []token.Grant{grant("*", "*", "5")}, grant("1", "stories:read", "5 6"), `scope stories:read in space "1" on these resources`},
		{"all resources", []token.Grant{grant("*", "*", "5")}, grant("1", "stories:read", "*"), `scope stories:read in space "1"`},

		{"a pattern below the same", []token.Grant{grant("*", "stories:*", "*")}, grant("1", "stories:*", "*"), ""},
		{"a pattern below everything", []token.Grant{grant("*", "*", "*")}, grant("1", "stories:*", "*"), ""},
		{"a pattern beside another", []token.Grant{grant("*", "stories:*", "*")}, grant("1", "*:read", "*"), `scope *:read in space "1"`},
		{"a pattern above a scope", []token.Grant{grant("*", "stories:read", "*")}, grant("1", "stories:*", "*"), `scope stories:* in space "1"`},
		{"every scope above a pattern", []token.Grant{grant("*", "*:*", "*")}, grant("1", "*", "*"), `scope * in space "1"`},
		{"a scope that another implies", []token.Grant{grant("*", "stories:write", "*")}, grant("1", "stories:read", "*"), ""},
		{"a scope that a pattern's implies", []token.Grant{grant("*", "*:write", "*")}, grant("1", "stories:read", "*"), ""},
		{"not the other way round", []token.Grant{grant("*", "stories:read", "*")}, grant("1", "stories:write", "*"), `scope stories:write in space "1"`},

		{"spaces from several grants", []token.Grant{grant("1", "stories:read", "*"), grant("2", "stories:*", "*")}, grant("1 2", "stories:read", "*"), ""},
		{"scopes from several grants", []token.Grant{grant("1", "stories:read", "*"), grant("1", "users:read", "*")}, grant("1", "stories:read users:read", "*"), ""},
		{"but not each from another", []token.Grant{grant("1", "stories:read", "*"), grant("2", "users:read", "*")}, grant("2", "stories:read", "*"), `scope stories:read in space "2"`},

		{"no scope", []token.Grant{grant("1", "stories:read", "*")}, grant("1", "", "*"), ""},
		{"no scope in another space", []token.Grant{grant("1", "stories:read", "*")}, grant("2", "", "*"), `a grant in space "2"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(implied)
			if c.ceiling != nil {
				o := token.NewOwner("alice")
				o.Grants = c.ceiling
				d.store.owners["alice"] = o.Encode(nil)
			}
			alice := d.account(t, "alice", true)
			made, secret, err := alice.Create(t.Context(), NewToken{Name: "ci", Grants: []token.Grant{c.asked}})
			bare, _ := d.create(t, NewToken{Owner: "alice", Grants: []token.Grant{}})
			_, errAdd := alice.AddGrant(t.Context(), bare.ID, c.asked)
			if c.beyond == "" {
				if err != nil || errAdd != nil {
					t.Errorf("Create: %v, AddGrant: %v, want both done", err, errAdd)
				}
				return
			}
			refused(t, err, ErrForbidden, c.beyond+" is more than owner \"alice\" may do")
			refused(t, errAdd, ErrForbidden, c.beyond)
			if made != nil || secret != "" {
				t.Errorf("Create gives %v", made)
			}
			// Operators set what they see fit; the gate minds the ceiling.
			if _, _, err := d.Operator(cli).Create(t.Context(), NewToken{Name: "ci", Owner: "alice", Grants: []token.Grant{c.asked}}); err != nil {
				t.Errorf("Create by an operator: %v", err)
			}
		})
	}
}
