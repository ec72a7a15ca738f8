package browser

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The life of a token, clicked through: on each store, and without the page's
// scripts.
func TestLifeOfAToken(t *testing.T) {
	for store := range stores {
		t.Run(store, func(t *testing.T) {
			s := start(t, store)
			t.Run("clicked", func(t *testing.T) { clickThrough(t, s, "alice", true) })
			t.Run("without scripts", func(t *testing.T) { clickThrough(t, s, "bob", false) })
			t.Run("admin", func(t *testing.T) { administer(t, s) })
		})
	}
}

var secretIn = regexp.MustCompile(`pat_[0-9A-Za-z]{36}`)

// secret returns the secret that the page shows.
func (b *tab) secret() string {
	b.t.Helper()
	b.sees("You won’t see this again")
	secret := secretIn.FindString(evaluate[string](b, `document.getElementById('secret').textContent`))
	if secret == "" {
		b.t.Fatalf("no secret\n%s", b.failed())
	}
	b.site.secrets = append(b.site.secrets, secret)
	return secret
}

func clickThrough(t *testing.T, s *site, owner string, scripts bool) {
	b := s.open(t, owner)
	if !scripts {
		b.withoutScripts()
	}
	b.visit("/")
	b.sees("You have no tokens yet", "Signed in as "+owner)

	// A form with mistakes comes back with what was filled in.
	b.click("Make your first token")
	b.sees("You will see its secret once")
	b.fill("description", "copies all stories")
	b.choose("expires", "On a day I choose")
	b.await(`document.getElementById('date').checkVisibility()`)
	b.click("Only these")
	b.await(`document.getElementById('spaces').checkVisibility()`)
	b.click("Create token")
	b.sees("4 things need your attention", "Give the token a name", "Choose at least one permission", "Choose the last day", "Say in which spaces")
	if got := evaluate[string](b, `document.querySelector('[name=description]').value`); got != "copies all stories" {
		t.Errorf("the form has lost its description: %q", got)
	}
	if scripts && !evaluate[bool](b, `document.activeElement.id == 'mistakes'`) {
		t.Error("what needs attention hasn't the focus")
	}
	b.click("Name: Give the token a name, so that you can tell it from others.")
	b.await(`document.activeElement.id == 'name'`)
	b.fill("name", "nightly backup")
	b.choose("expires", "After 30 days")
	b.click("stories:read")
	b.fill("spaces", "1\n2")
	b.click("Create token")

	// The secret is shown once, and opens what it should.
	b.sees("Token created")
	secret := b.secret()
	s.opens(secret, 200)
	if strings.Contains(evaluate[string](b, `location.href + document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)`), secret[4:20]) {
		t.Error("the secret is in the address or in the browser's storage")
	}
	if visible := evaluate[bool](b, `document.querySelector('[data-copy]').checkVisibility()`); visible != scripts {
		t.Errorf("the button that copies is shown: %t, want %t", visible, scripts)
	}
	if scripts {
		b.mayCopy()
		b.click("Copy")
		b.sees("Copied")
		if got := evaluate[string](b, `document.querySelector('[role=status]').textContent`); got != "Copied" {
			t.Errorf("a reader of the screen is told %q", got)
		}
		if got := evaluate[string](b, `navigator.clipboard.readText()`); got != secret {
			t.Errorf("copied %q, want the secret", got)
		}
	}
	b.click("I have kept it")
	b.sees("nightly backup", "stories:read", "In spaces 1, 2", "Expires", "in 30 days", "by you")
	b.misses(secret, secret[4:20])
	// The browser would have to send the form again, and says so.
	if err := chromedp.Do(b.ctx, chromedp.NavigateBack()); err != nil && !strings.Contains(err.Error(), "ERR_CACHE_MISS") {
		t.Fatal(err)
	}
	b.await(`document.readyState == 'complete' && !location.pathname.includes('/tokens/')`)
	b.misses(secret)
	b.visit("/")
	b.sees("nightly backup", "in 30 days", "stories:read in spaces 1, 2", "Active")
	b.misses(secret, secret[4:20])

	// Its permissions.
	b.click("nightly backup")
	b.sees("Add a permission")
	b.click("Add a permission")
	b.click("assets:write")
	b.click("All spaces")
	b.click("Limit it to single resources")
	b.fill("resources", "logo")
	b.click("Add")
	b.sees("Permission added.", "assets:write", "In all spaces, only logo")
	if scripts && !evaluate[bool](b, `document.activeElement.id == 'notice'`) {
		t.Error("what was done hasn't the focus")
	}
	b.click("Add a permission")
	b.click("Everything")
	b.await(`document.getElementById('sure').checkVisibility() && !document.getElementById('spaces').checkVisibility()`)
	b.click("Add")
	b.sees("Confirm that the token may do everything")
	b.click("This token may do everything")
	b.click("Add")
	b.sees("Permission added.", "All permissions, in all spaces, on all resources.")
	b.do(chromedp.Click(chromedp.CSS(`[aria-label="Remove permission 3"]`)))
	b.sees("Remove a permission of “nightly backup”?", "All permissions.")
	b.click("Remove permission")
	b.sees("Permission removed.")
	b.misses("on all resources.")
	b.click("Remove all permissions")
	b.sees("Remove all permissions of “nightly backup”?")
	b.click("Remove all permissions")
	b.sees("All permissions removed.", "No permissions: the token can’t do anything that needs one.")
	s.opens(secret, 403)
	b.click("Add a permission")
	b.click("stories:write")
	b.click("All spaces")
	b.click("Add")
	b.sees("Permission added.")
	s.opens(secret, 200)

	// What it is called, and where it may be used from.
	b.click("Change name, description or allowed addresses")
	b.fill("name", "backup")
	b.fill("addresses", "somewhere")
	b.click("Save")
	b.sees("Number 1 is not an address or a range")
	b.fill("addresses", "203.0.113.0/24")
	b.click("Save")
	b.sees("Saved.", "203.0.113.0/24", "nightly backup\u200e → backup")
	s.opens(secret, 401)
	b.click("Change name, description or allowed addresses")
	b.fill("addresses", "")
	b.click("Save")
	b.sees("Saved.", "203.0.113.0/24\u200e → everywhere")
	s.opens(secret, 200)

	// A new secret, beside the old one for a while, and then alone.
	b.click("New secret")
	b.sees("The old secret stops")
	b.choose("expires", "After 7 days")
	b.choose("overlap", "In a day")
	b.click("Make new secret")
	second := b.secret()
	s.opens(second, 200)
	s.opens(secret, 200)
	b.click("I have kept it")
	b.sees("in 7 days", "Expires soon", "new secret")
	b.click("New secret")
	b.sees("The old secret stops")
	b.click("Make new secret")
	third := b.secret()
	s.opens(third, 200)
	s.opens(second, 401)
	s.opens(secret, 401)
	b.click("I have kept it")

	// The end, and back.
	b.sees("new secret")
	b.click("Revoke")
	b.sees("Revoke “backup”?")
	b.click("Cancel")
	b.sees("Change name, description")
	s.opens(third, 200)
	b.click("Revoke")
	b.sees("Revoke “backup”?")
	b.click("Revoke token")
	b.sees("The token no longer works.", "revoked just now")
	s.opens(third, 401)
	b.click("New secret")
	b.sees("The token works again with the new secret")
	b.click("Make new secret")
	fourth := b.secret()
	s.opens(fourth, 200)
	s.opens(third, 401)

	// The list, filtered.
	s.create(owner, "ci", `,"full":true,"description":"on every push"`)
	b.visit("/")
	b.sees("backup", "ci")
	b.click("Revoked")
	b.sees("No tokens like that.")
	b.click("Show all")
	b.sees("on every push")
	b.fill("q", "PUSH")
	b.choose("sort", "Name")
	b.click("Show")
	b.await(`location.search.includes('sort=name') && document.querySelectorAll('.tokens tbody tr').length == 1`)
	b.sees("ci")
	b.click("Yours")
	b.await(`document.querySelectorAll('.tokens tbody tr').length == 2`)

	// Gone for good.
	b.click("backup")
	b.sees("Delete this token")
	b.click("Delete this token")
	b.sees("gone for good")
	b.click("Delete token")
	b.sees("Deleted.", "ci")
	s.opens(fourth, 401)
	b.click("Activity")
	b.sees("backup – deleted", "backup – revoked", "backup – new secret", "ci – made", "by you from 127.0.0.1")
}

// administer is what an admin can do with the tokens of others.
func administer(t *testing.T, s *site) {
	_, one := s.create("carol", "deploy", `,"full":true`)
	_, two := s.create("carol", "reports", `,"full":true`)
	_, other := s.create("dave", "of dave", `,"full":true`)
	b := s.open(t, "root")
	b.visit("/everyone?sort=name")
	b.sees("Everyone’s tokens", "deploy", "carol", "of dave", "dave")
	b.click("deploy")
	b.sees("Tokens of carol", "made")
	b.misses("Delete this token", "Add a permission")
	b.click("Revoke")
	b.sees("It belongs to carol")
	b.click("Revoke token")
	b.sees("The token no longer works.")
	s.opens(one, 401)
	s.opens(two, 200)

	b.click("Tokens of carol")
	b.sees("All tokens of carol")
	b.misses("of dave")
	b.click("Revoke all of them")
	b.sees("Revoke all tokens of “carol”?")
	b.click("Revoke all tokens")
	b.sees("All tokens of this owner are revoked.")
	s.opens(two, 401)
	s.opens(other, 200)
	b.click("All activity")
	b.sees("reports – revoked", "by you from 127.0.0.1", "of dave – made", "by dave")

	c := s.open(t, "carol")
	c.visit("/activity")
	c.sees("reports – revoked", "by root")
	c.misses("of dave", "Everyone")
	c.visit("/everyone")
	c.sees("Only admins see the tokens of others.")
}

// Below a path, everything is the same.
func TestBelowAPath(t *testing.T) {
	s := start(t, "embedded")
	b := s.open(t, "alice")
	b.visit("/account/tokens")
	b.await(`location.pathname == '/account/tokens/'`)
	b.click("Make your first token")
	b.sees("You will see its secret once")
	b.fill("name", "deep")
	b.click("stories:read")
	b.click("All spaces")
	b.click("Create token")
	secret := b.secret()
	b.click("I have kept it")
	b.sees("deep")
	b.click("Revoke")
	b.sees("Revoke “deep”?")
	b.click("Revoke token")
	b.sees("The token no longer works.")
	s.opens(secret, 401)
	b.click("Your tokens")
	b.await(`location.pathname == '/account/tokens/'`)
}

// Over plain HTTP, browsers say less of where a request comes from, and let no
// script at the clipboard. Both works all the same.
func TestPlainHTTP(t *testing.T) {
	s := start(t, "embedded")
	s.console = strings.Replace(s.console, "127.0.0.1", plainHost, 1)
	b := s.open(t, "alice")
	b.visit("/new")
	b.fill("name", "intranet")
	b.click("stories:read")
	b.click("All spaces")
	b.click("Create token")
	s.opens(b.secret(), 200)
	if evaluate[bool](b, `isSecureContext`) {
		t.Error("the browser takes the site for a safe one: this test shows nothing")
	}
	b.click("Copy")
	b.sees("Copied")
}

// Everything can be done with the keyboard alone, and shows where it is.
func TestKeyboard(t *testing.T) {
	s := start(t, "embedded")
	b := s.open(t, "alice")
	b.visit("/")
	b.sees("You have no tokens yet")
	b.press(kb.Tab)
	if got := evaluate[string](b, `document.activeElement.textContent`); got != "Skip to content" {
		t.Errorf("the first tab leads to %q, want the link that skips", got)
	}
	b.press(kb.Enter)
	b.tabTo(`main a[href$="new"]`)
	b.press(kb.Enter)
	b.sees("You will see its secret once")
	b.tabTo(`#name`)
	b.press("by keyboard")
	b.tabTo(`#expires`)
	b.press("After 7")
	b.tabTo(`[name=access]`)
	b.tabTo(`[value="stories:read"]`)
	b.press(" ")
	b.tabTo(`[name=where]`)
	b.press(kb.ArrowDown)
	b.tabTo(`#spaces`)
	b.press("1")
	b.tabTo(`summary`)
	b.press(kb.Enter)
	b.tabTo(`#resources`)
	b.tabTo(`#addresses`)
	b.tabTo(`form button`)
	b.press(kb.Enter)
	secret := b.secret()
	b.mayCopy()
	b.tabTo(`[data-copy]`)
	b.press(kb.Enter)
	b.sees("Copied")
	s.opens(secret, 200)
	b.tabTo(`main a.button`)
	b.press(kb.Enter)
	b.sees("by keyboard", "in 7 days", "space 1")

	b.tabTo(`[aria-label="Remove permission 1"]`)
	b.press(kb.Enter)
	b.sees("Remove a permission of “by keyboard”?")
	b.tabTo(`form button`)
	b.press(kb.Enter)
	b.sees("Permission removed.")
	b.tabTo(`main a[href$="regenerate"]`)
	b.press(kb.Enter)
	b.sees("The old secret stops")
	b.tabTo(`#overlap`)
	b.press("In an")
	b.tabTo(`form button`)
	b.press(kb.Enter)
	b.secret()
	b.tabTo(`main a.button`)
	b.press(kb.Enter)
	b.sees("new secret")
	b.tabTo(`main a[href$="revoke"]`)
	b.press(kb.Enter)
	b.sees("Revoke “by keyboard”?")
	b.tabTo(`form button`)
	b.press(kb.Enter)
	b.sees("The token no longer works.")
	b.tabTo(`main a[href$="delete"]`)
	b.press(kb.Enter)
	b.sees("gone for good")
	b.tabTo(`form button`)
	b.press(kb.Enter)
	b.sees("Deleted.")
}

// A form whose button is pressed twice is sent once.
func TestPressedTwice(t *testing.T) {
	s := start(t, "embedded")
	b := s.open(t, "alice")
	b.visit("/new")
	b.fill("name", "twice")
	b.click("license")
	b.click("All spaces")
	evaluate[any](b, `(() => { const b = document.querySelector('form button'); b.click(); b.click(); })()`)
	b.secret()
	if got := s.names("alice"); got != "[{twice}]" {
		t.Errorf("made: %s, want one", got)
	}
	// Loading the page again sends the form again. What is seen then leads to the token.
	evaluate[any](b, `location.reload()`)
	b.sees("Sent already")
	b.check("sent already", desktop)
	b.click("Open the token")
	b.sees("twice", "New secret")
	if got := s.names("alice"); got != "[{twice}]" {
		t.Errorf("after loading the page again: %s, want one", got)
	}
}

// names are those of an owner's tokens.
func (s *site) names(owner string) string {
	s.t.Helper()
	var page struct{ Tokens []struct{ Name string } }
	s.call(owner, "GET", "tokens", "", &page)
	return fmt.Sprint(page.Tokens)
}

// What was filled in outlives a store that doesn't answer.
func TestStoreIsAway(t *testing.T) {
	s := start(t, "redis")
	b := s.open(t, "alice")
	b.visit("/new")
	b.fill("name", "patient")
	b.click("license")
	b.click("All spaces")
	back := s.withoutStore()
	b.click("Create token")
	b.sees("Not now", "What you have sent is kept on this page")
	b.check("not now", desktop)
	b.shoot("not-now")
	back()
	b.click("Try again")
	b.sees("Token created", "patient")
	b.secret()
}
