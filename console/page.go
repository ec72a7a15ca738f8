package console

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/token"
)

// pageRoutes returns the web page.
func pageRoutes() []route {
	return []route{
		{"GET /{$}", "", (*call).list},
		{"GET /new", "", (*call).newToken},
		{"POST /new", "", (*call).create},
		{"GET /tokens/{id}", "", (*call).show},
		{"POST /tokens/{id}/edit", "", (*call).edit},
		{"POST /tokens/{id}/grants", "", (*call).addGrant},
		{"GET /tokens/{id}/grants/remove", "", (*call).askRemoveGrant},
		{"POST /tokens/{id}/grants/remove", "", (*call).removeGrant},
		{"GET /tokens/{id}/grants/clear", "", (*call).askClear},
		{"POST /tokens/{id}/grants/clear", "", (*call).clear},
		{"GET /tokens/{id}/regenerate", "", (*call).askRegenerate},
		{"POST /tokens/{id}/regenerate", "", (*call).regenerate},
		{"GET /tokens/{id}/revoke", "", (*call).askRevoke},
		{"POST /tokens/{id}/revoke", "", (*call).revoke},
		{"GET /tokens/{id}/delete", "", (*call).askDelete},
		{"POST /tokens/{id}/delete", "", (*call).delete},

		{"GET /activity", "", (*call).activity},
		{"GET /everyone", "", (*call).everyone},
		{"GET /everyone/activity", "", (*call).everyoneActivity},
		{"GET /everyone/revoke", "", (*call).askRevokeOwner},
		{"POST /everyone/revoke", "", (*call).revokeOwner},
	}
}

//go:embed pages
var pageFiles embed.FS

// pages are the templates by name, each in the layout.
var pages = loadPages()

func loadPages() map[string]*template.Template {
	layout := template.Must(template.New("layout").Funcs(template.FuncMap{"asset": assetURL, "listed": listed, "all": all, "included": included}).
		ParseFS(pageFiles, "pages/layout.html", "pages/parts.html"))
	named := map[string]*template.Template{}
	for _, name := range []string{"list", "new", "secret", "show", "regenerate", "confirm", "activity", "error"} {
		named[name] = template.Must(template.Must(layout.Clone()).ParseFS(pageFiles, "pages/"+name+".html"))
	}
	return named
}

// all reports whether a list of a grant means all there are.
func all(values []string) bool { return token.Covers(values, token.All) }

// included names the scopes that another contains.
func included(scopes []string) string {
	if all(scopes) {
		return "everything"
	}
	return strings.Join(scopes, ", ")
}

// page is what the layout shows.
type page struct {
	Title string
	Root  string // the console's root, relative to the page
	Here  string // the entry of the navigation that the page is
	Owner string // who is signed in
	Admin bool
	Body  any // what the page itself shows
}

// root returns the console's root, relative to a path.
func root(path string) string {
	if depth := strings.Count(path, "/") - 1; depth > 0 {
		return strings.Repeat("../", depth)
	}
	return "./"
}

// page answers with a page of the visitor's.
func (c *call) page(status int, name string, p page) error {
	p.Root, p.Owner, p.Admin = root(c.R.URL.Path), c.visitor.Owner, c.Account.Admin()
	return render(c.W, status, name, p)
}

// errorBody is what a page says of what can't be done.
type errorBody struct {
	Words   string
	Home    bool       // there is a way back
	TokenID string     // of the token to go on with; "" for none
	Again   bool       // it may work if it is sent again
	Fields  url.Values // what to send then
}

// errorPage answers with a page that says what is wrong.
func (c *Console) errorPage(w http.ResponseWriter, r *http.Request, problem *rest.Problem) {
	body := errorBody{Words: sentence(problem.Detail), Home: problem.Status != http.StatusUnauthorized}
	if passes := problem.Status == http.StatusServiceUnavailable || problem.Status == http.StatusTooManyRequests; passes && r.Method == http.MethodPost {
		// Going back would show the form as it was before it was filled in.
		if f, err := readForm(w, r); err == nil {
			body.Again, body.Fields = true, f.values
		}
	}
	p := page{Title: cmp.Or(errorTitles[problem.Status], problem.Title), Root: root(r.URL.Path), Body: body}
	if err := render(w, problem.Status, "error", p); err != nil {
		c.Failed(err)
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// errorTitles are what a page says of a status, where HTTP's words are for
// machines.
var errorTitles = map[int]string{
	http.StatusUnauthorized:       "Who are you?",
	http.StatusForbidden:          "Not allowed",
	http.StatusNotFound:           "Nothing here",
	http.StatusConflict:           "Not done",
	http.StatusTooManyRequests:    "Not now",
	http.StatusServiceUnavailable: "Not now",
}

func render(w http.ResponseWriter, status int, name string, p page) error {
	var body bytes.Buffer
	if err := pages[name].ExecuteTemplate(&body, "layout.html", p); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	body.WriteTo(w) // fails if the client has gone
	return nil
}

// seeOther sends the browser to another page of the console, so that a change
// isn't made again when the page is loaded again.
func (c *call) seeOther(target string) error {
	c.W.Header().Set("Location", root(c.R.URL.Path)+target)
	c.W.WriteHeader(http.StatusSeeOther)
	return nil
}

// notices are what a page says of a change that was just made, by what its
// address says was done.
var notices = map[string]string{
	"saved":       "Saved.",
	"granted":     "Permission added.",
	"removed":     "Permission removed.",
	"cleared":     "All permissions removed. The token can't do anything that needs one.",
	"revoked":     "Revoked. The token no longer works.",
	"all-revoked": "All tokens of this owner are revoked.",
	"deleted":     "Deleted. The token is gone for good.",
}

// notice is what a page says of a change. It stays in the page's address, and is said
// no more once it isn't true of the tokens that the page shows.
func (c *call) notice(shown ...row) string {
	done := c.param("done")
	untrue := map[string]func(row) bool{
		"cleared":     func(r row) bool { return len(r.Grants) > 0 },
		"revoked":     func(r row) bool { return r.Status != token.Revoked },
		"all-revoked": func(r row) bool { return r.Status != token.Revoked },
	}[done]
	if untrue != nil && slices.ContainsFunc(shown, untrue) {
		return ""
	}
	return notices[done]
}
