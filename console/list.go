package console

import (
	"net/http"
	"net/url"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// pageSize is how many tokens, or events, a page lists.
const pageSize = 25

// listing is the list of tokens, the visitor's own or everybody's.
type listing struct {
	Rows     []row
	Everyone bool   // everybody's, or those of the owner looked for
	Owner    string // whose tokens were looked for; "" for anybody's
	Status   string
	Text     string
	Sort     string
	Limits   string // of what the visitor's tokens can do; "" for none
	MayMake  bool   // the visitor may make tokens
	Notice   string
	Paged    bool   // this isn't the first page
	next     string // the cursor of the next page
}

// What to filter by besides statuses.
const (
	expiring = "expiring"
	unused   = "unused"
)

// Statuses are those to filter by.
func (listing) Statuses() []choice {
	return []choice{
		{"", "All"}, {"active", "Active"}, {expiring, "Expire soon"}, {unused, "Unused for 30 days"},
		{"expired", "Expired"}, {"revoked", "Revoked"},
	}
}

// Sorts are the orders to choose from.
func (listing) Sorts() []choice {
	return []choice{
		{registry.SortCreated, "Newest first"}, {registry.SortName, "Name"},
		{registry.SortExpires, "Expires soonest"}, {registry.SortLastUsed, "Used last"}, {"-" + registry.SortLastUsed, "Unused longest"},
	}
}

// Filtered reports whether anything was looked for.
func (l listing) Filtered() bool { return l.Status != "" || l.Text != "" || l.Owner != "" }

// With is the query of the same list with another status.
func (l listing) With(status string) string { return l.query(status, "") }

// Next is the query of the next page, "" after the last.
func (l listing) Next() string {
	if l.next == "" {
		return ""
	}
	return l.query(l.Status, l.next)
}

func (l listing) query(status, cursor string) string {
	q := url.Values{}
	for name, value := range map[string]string{"owner": l.Owner, "status": status, "q": l.Text, "sort": l.Sort, "cursor": cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return "?" + q.Encode()
}

// list shows the visitor's tokens.
func (c *call) list() error {
	o := c.Account.Owner()
	l := listing{Limits: ceiling(o.Grants), MayMake: o.MayCreate}
	if err := c.find(&l, &c.visitor.Owner); err != nil {
		return err
	}
	return c.page(http.StatusOK, "list", page{Title: "Your tokens", Here: "list", Body: l})
}

// everyone shows everybody's tokens, or those of an owner.
func (c *call) everyone() error {
	if err := c.adminsOnly(); err != nil {
		return err
	}
	l := listing{Everyone: true, Owner: c.param("owner")}
	var owner *string
	if l.Owner != "" {
		owner = &l.Owner
	}
	if err := c.find(&l, owner); err != nil {
		return err
	}
	return c.page(http.StatusOK, "list", page{Title: "Everyone’s tokens", Here: "everyone", Body: l})
}

// find fills in the tokens that the query asks for.
func (c *call) find(l *listing, owner *string) error {
	l.Status, l.Text, l.Sort = c.param("status"), c.param("q"), c.param("sort")
	l.Paged = c.param("cursor") != ""
	q := registry.Query{Owner: owner, Status: l.Status, Text: l.Text, Sort: l.Sort, Limit: pageSize, Cursor: c.param("cursor")}
	switch l.Status {
	case expiring:
		q.Status, q.Expiring = "", registry.FormatDuration(soon)
	case unused:
		q.Status, q.Unused = "", "30d"
	}
	tokens, next, err := c.Account.List(c.R.Context(), q)
	if err != nil {
		return err
	}
	l.next = next
	for _, t := range tokens {
		l.Rows = append(l.Rows, c.row(t))
	}
	l.Notice = c.notice(l.Rows...)
	return nil
}

// ceiling says what an owner's tokens can do at most; "" where nothing limits
// them.
func ceiling(grants []token.Grant) string {
	r := row{View: token.View{Grants: grants}}
	if can := r.Can(); can != "Everything" {
		return can
	}
	return ""
}
