package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is a window of somebody who is signed in.
type tab struct {
	t    *testing.T
	site *site
	ctx  context.Context

	mu         sync.Mutex
	complaints []string // of the browser: scripts that fail, things that the policy blocks
}

// open opens a window, and closes it with the test.
func (s *site) open(t *testing.T, owner string) *tab {
	t.Helper()
	ctx, end := context.WithTimeout(chromium, 5*time.Minute)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	b := &tab{t: t, site: s, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Authorization": basicAuth(owner)}})
	b.look(desktop)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range b.complaints {
			t.Errorf("the browser complains: %s", c)
		}
	})
	return b
}

func (b *tab) listen(event any) {
	var complaint string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// The network's are about answers such as 422, which are meant.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			complaint = e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		complaint = e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			complaint = "a script has logged an error"
		}
	}
	if complaint != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, complaint)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.failed())
	}
}

// call calls a command of the browser's protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
}

// failed keeps a picture of where a test has failed, and says what is there.
func (b *tab) failed() string {
	ctx, end := context.WithTimeout(context.WithoutCancel(b.ctx), 10*time.Second)
	defer end()
	at, _ := chromedp.Run(ctx, chromedp.Location())
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err.Error()
	}
	name := strings.ReplaceAll(b.t.Name(), "/", "-") + "-failed.png"
	if err := os.WriteFile(filepath.Join(*shots, name), picture, 0o644); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("at %s (%s):\n%s", at, name, text)
}

// evaluate returns what a JavaScript expression is.
func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", expression[:min(len(expression), 200)], err, b.failed())
	}
	return value
}

// await waits until a JavaScript expression is true.
func (b *tab) await(expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")")) // an error: between two pages
		if err == nil && is {
			return
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			b.t.Fatalf("waiting for %s: %v, %v\n%s", expression, is, err, b.failed())
		}
	}
}

// visit goes to an address of the console.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.site.console + path))
}

// sees waits until the page says all of this.
func (b *tab) sees(words ...string) {
	b.t.Helper()
	for _, w := range words {
		b.await(fmt.Sprintf("document.readyState == 'complete' && document.body.innerText.includes(%s)", quote(w)))
	}
}

// misses checks that the page doesn't say this.
func (b *tab) misses(words ...string) {
	b.t.Helper()
	for _, w := range words {
		if evaluate[bool](b, fmt.Sprintf("document.documentElement.outerHTML.includes(%s)", quote(w))) {
			b.t.Errorf("the page has %q\n%s", w, b.failed())
		}
	}
}

// click clicks on a button, link, summary or label that says exactly this, with
// the mouse.
func (b *tab) click(words string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.Search(fmt.Sprintf(
		`//*[self::a or self::button or self::summary or self::label][normalize-space()=%[1]s or normalize-space(span/text()[1])=%[1]s or normalize-space(span/code)=%[1]s]`,
		quote(words))), chromedp.NodeVisible))
}

// fill writes into a field, by its name.
func (b *tab) fill(name, value string) {
	b.t.Helper()
	field := chromedp.CSS(`:is(input, textarea)[name="` + name + `"]:not([type=hidden])`)
	b.do(chromedp.WaitVisible(field), chromedp.Focus(field))
	evaluate[any](b, `document.activeElement.select()`)
	b.press(kb.Backspace)
	b.press(value)
}

// choose chooses from a list, by its name and what the entry says at its beginning.
func (b *tab) choose(name, entry string) {
	b.t.Helper()
	field := `select[name="` + name + `"]`
	b.do(chromedp.Focus(chromedp.CSS(field)), chromedp.KeyEvent(entry))
	b.await(fmt.Sprintf(`document.querySelector(%s).selectedOptions[0].text.startsWith(%s)`, quote(field), quote(entry)))
}

// look is how a page is looked at.
type look struct {
	name          string
	width, height int64
	dark, phone   bool
}

var (
	desktop = look{name: "light", width: 1200, height: 800}
	dark    = look{name: "dark", width: 1200, height: 800, dark: true}
	phone   = look{name: "phone", width: 390, height: 844, phone: true}
)

func (b *tab) look(l look) {
	b.t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.phone})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// shoot keeps a picture of the whole page.
func (b *tab) shoot(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// withoutScripts has the browser run none of the page's scripts.
func (b *tab) withoutScripts() {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// mayCopy lets the page write to the clipboard, and the test read it.
func (b *tab) mayCopy() {
	b.t.Helper()
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(b.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
			Origin: b.site.console, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	call(b, page.BringToFront, cdp.Empty{})
}

// press presses a key.
func (b *tab) press(key string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(key))
}

// tabTo presses the tab key until what the selector finds has the focus, which
// everything on the way has to show.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 100 {
		b.press(kb.Tab)
		if !evaluate[bool](b, `document.activeElement == document.body || getComputedStyle(document.activeElement).outlineStyle != 'none'`) {
			b.t.Errorf("%s doesn't show that it has the focus", evaluate[string](b, `document.activeElement.outerHTML`))
		}
		if evaluate[bool](b, fmt.Sprintf(`document.activeElement.matches(%s)`, quote(selector))) {
			return
		}
	}
	b.t.Fatalf("the tab key doesn't lead to %s\n%s", selector, b.failed())
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string: never fails
	return string(b)
}
