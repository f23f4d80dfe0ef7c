package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/auditlogs/auditlogs/internal/apptest"
)

// patience is how long a page may take to become what a test waits for.
const patience = 15 * time.Second

// page is a tab with cookies of its own. When the test ends, it fails if the browser complained
// about anything: an error on the console, an exception, a violation of the Content Security
// Policy, or a request to another host.
type page struct {
	t      *testing.T
	server *apptest.Server
	ctx    context.Context

	mutex      sync.Mutex
	complaints []string
	expected   []string // parts of complaints that are no mistake, such as the browser's line for a 404
	bytes      int64    // over the wire since the last measure
	requests   []string // since the last measure
}

func open(t *testing.T, server *apptest.Server) *page {
	t.Helper()
	p := &page{t: t, server: server}
	ctx, end := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	p.ctx = ctx
	t.Cleanup(func() {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		for _, complaint := range p.complaints {
			if !containsAny(complaint, p.expected) {
				t.Errorf("the browser complains: %s", complaint)
			}
		}
		end()
	})
	if err := chromedp.Do(ctx); err != nil { // opens the tab, for as long as ctx lives
		t.Fatal(err)
	}
	p.size(1440, 900)
	return p
}

// signedIn is a page of somebody who has signed in, on the log.
func signedIn(t *testing.T, server *apptest.Server, email string) *page {
	t.Helper()
	p := open(t, server)
	p.visit("/login")
	p.signIn(email)
	return p
}

func (p *page) signIn(email string) {
	p.t.Helper()
	p.fill(`input[name=email]`, email)
	p.fill(`input[name=password]`, "audit-demo")
	p.press(kb.Enter)
	p.waitFor("the log", `location.pathname.endsWith("/settings/audit-logs") && document.readyState === "complete"`)
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

func (p *page) listen(event any) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	complain := func(format string, values ...any) {
		p.complaints = append(p.complaints, fmt.Sprintf(format, values...))
	}
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning || e.Entry.Source == log.EntrySourceSecurity {
			complain("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			words := make([]string, 0, len(e.Args))
			for _, argument := range e.Args {
				words = append(words, string(argument.Value)+argument.Description)
			}
			complain("console.%s: %s", e.Type, strings.Join(words, " "))
		}
	case *runtime.EventExceptionThrown:
		description := ""
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			description = thrown.Description
		}
		complain("exception: %s %s", e.ExceptionDetails.Text, description)
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.Method+" "+e.Request.URL)
		if strings.HasPrefix(e.Request.URL, "http") && !strings.HasPrefix(e.Request.URL, p.server.URL+"/") {
			complain("a request to another host: %s", e.Request.URL)
		}
	case *network.EventLoadingFinished:
		p.bytes += int64(e.EncodedDataLength)
	}
}

// expect names a part of complaints that the test provokes.
func (p *page) expect(part string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.expected = append(p.expected, part)
}

// measure returns the requests, and the bytes they took over the wire, since it was last called.
func (p *page) measure() (requests []string, bytes int64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	requests, bytes = p.requests, p.bytes
	p.requests, p.bytes = nil, 0
	return requests, bytes
}

// do does something in the page.
func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%v\nat %s", err, p.whereabouts())
	}
}

// call sends the browser a command.
func call[P, R any](p *page, command cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.t.Fatalf("%s: %v", command.Method, err)
	}
}

// whereabouts tells what the page shows when something went wrong.
func (p *page) whereabouts() string {
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Second)
	defer cancel()
	shown, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 1500)`))
	if err != nil {
		return "an unknown place: " + err.Error()
	}
	return shown
}

// visit opens a path of the server and waits until the page and its scripts have loaded.
func (p *page) visit(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.server.URL + path))
}

func (p *page) size(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

// prefersDark has the system ask for dark pages, or light ones.
func (p *page) prefersDark(dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// value evaluates an expression in the page.
func value[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v\nat %s", expression, err, p.whereabouts())
	}
	return result
}

// waitFor waits until a condition holds in the page.
func (p *page) waitFor(what, condition string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		cancel()
		if err == nil && holds {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s (%v)\nat %s", what, err, p.whereabouts())
		}
		time.Sleep(20 * time.Millisecond) // between two looks at a page that changes by itself
	}
}

// click clicks with the mouse in the middle of the first visible element that selector finds.
func (p *page) click(selector string) {
	p.t.Helper()
	p.waitFor(selector, fmt.Sprintf(`[...document.querySelectorAll(%[1]s)].some(e => e.checkVisibility({visibilityProperty: true}))`, quote(selector)))
	place := value[[]float64](p, fmt.Sprintf(`(() => {
		const element = [...document.querySelectorAll(%[1]s)].find(e => e.checkVisibility({visibilityProperty: true}));
		element.scrollIntoView({block: "nearest", behavior: "instant"});
		let box = element.getBoundingClientRect();
		if (box.top < 60 || box.bottom > innerHeight - 60) {
			element.scrollIntoView({block: "center", behavior: "instant"});
			box = element.getBoundingClientRect();
		}
		return [box.left + box.width / 2, box.top + box.height / 2];
	})()`, quote(selector)))
	p.do(chromedp.MouseClickXY(place[0], place[1]))
}

// fill replaces what a field holds by typing.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.click(selector)
	p.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`))
	if text == "" {
		p.press(kb.Delete)
		return
	}
	p.press(text)
}

// press types keys into whatever has the focus, as a keyboard does: a key that the page handles
// writes nothing.
func (p *page) press(keys string) { p.pressWith(0, keys) }

// pressWith is press with a modifier held, as for Shift+Tab.
func (p *page) pressWith(modifier chromedp.Modifier, keys string) {
	p.t.Helper()
	for _, r := range keys {
		events := kb.Encode(r)
		if len(events) == 3 { // the browser makes the character of a key itself, unless the page handles it
			events[0].Type, events[0].Text, events[0].UnmodifiedText = input.DispatchKeyEventTypeKeyDown, events[1].Text, events[1].UnmodifiedText
			events = []*input.DispatchKeyEventParams{events[0], events[2]}
		}
		for _, event := range events {
			event.Modifiers |= int64(modifier)
			call(p, input.DispatchKeyEvent, *event)
		}
	}
}

// texts are those of all elements that selector finds.
func (p *page) texts(selector string) []string {
	p.t.Helper()
	return value[[]string](p, fmt.Sprintf(`[...document.querySelectorAll(%s)].map(e => e.textContent.trim())`, quote(selector)))
}

// column are the texts of a column of the log.
func (p *page) column(name string) []string {
	p.t.Helper()
	cell := `#entries tbody[data-entry-id] [data-col=` + name + `]`
	return p.texts(cell + ` [data-value], ` + cell + `:not(:has([data-value]))`)
}

// ids are those of the entries the log shows, in order.
func (p *page) ids() []string {
	p.t.Helper()
	return value[[]string](p, `[...document.querySelectorAll("[data-entry-id]")].map(e => e.dataset.entryId)`)
}

// query is the query of the address.
func (p *page) query() url.Values {
	p.t.Helper()
	values, err := url.ParseQuery(strings.TrimPrefix(value[string](p, `location.search`), "?"))
	if err != nil {
		p.t.Fatal(err)
	}
	return values
}

// waitForQuery waits until the address carries a parameter with exactly these values, in any order,
// and the page of that address is there whole: loaded, or its table swapped.
func (p *page) waitForQuery(name string, want ...string) {
	p.t.Helper()
	encoded, err := json.Marshal(slices.Sorted(slices.Values(want)))
	if err != nil {
		p.t.Fatal(err)
	}
	if len(want) == 0 {
		encoded = []byte("[]")
	}
	p.waitFor(name+" to be "+string(encoded), fmt.Sprintf(
		`JSON.stringify(new URLSearchParams(location.search).getAll(%s).sort()) === %s && document.readyState === "complete" && !document.querySelector(".htmx-request")`,
		quote(name), quote(string(encoded))))
}

// quote makes a JavaScript string.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(quoted)
}
