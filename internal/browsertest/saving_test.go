package browsertest

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// form is a form that saves, and something typed into it or chosen.
type form struct {
	page, selector string
	field, typed   string // empty where there is nothing but a button
}

var savingForms = []form{
	{settings, "#general form", "name", "Northwind Shipping"},
	{settings, "#audit-form", "retention_days", "120"},
	{settings, ".link-form[data-resource-link=service]", "url_template", "https://console.example.com/{id}"},
	{settings, "#danger-zone form", "confirm", "northwind"},
	{members, "form[action$='/invitations']", "email", "new@example.com"},
	{members, "tr:has(.muted):nth-child(2) .role-form", "", ""},
	{apiKeys, "form:has([name=scope])", "name", "Build server"},
	{integrations, "form:has(button.primary)", "", ""},
	{"/orgs/new", "main form", "name", "Another one"},
}

// endSessions signs everybody out, as time and other people can.
func (p *page) endSessions() {
	p.t.Helper()
	if err := p.server.Store.Writer(p.t.Context()).Exec("DELETE FROM audit_sessions").Error; err != nil {
		p.t.Fatal(err)
	}
}

// answerPosts has something else than the server answer what forms send, while it is not nil.
func (p *page) answerPosts() (with *atomic.Pointer[func(fetch.RequestID)]) {
	p.t.Helper()
	with = &atomic.Pointer[func(fetch.RequestID)]{}
	paused := chromedp.Events(p.ctx, fetch.RequestPaused)
	go func() {
		for request, err := range paused {
			if err != nil {
				return
			}
			if answer := with.Load(); answer != nil && request.Request.Method == http.MethodPost {
				(*answer)(request.RequestID)
				continue
			}
			// The page may have given a request up: then there is nothing to go on with.
			_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: request.RequestID})
		}
	}()
	call(p, fetch.Enable, fetch.EnableParams{})
	return with
}

// send presses the button of a form.
func (p *page) send(f form) {
	p.t.Helper()
	p.waitFor(f.selector, `document.querySelector(`+quote(f.selector)+`)`)
	p.click(f.selector + ` button:not([form], [formaction])`)
}

// says waits until the page says something about a form that was not saved, and returns it.
func (p *page) saysNotSaved(what string) string {
	p.t.Helper()
	p.waitFor(what, `document.querySelector(".form-failure[role=alert]")?.checkVisibility()`)
	return p.texts(".form-failure")[0]
}

// Whatever keeps a form from being saved is said beside it, and what was typed stays.
func TestAFormThatIsNotSavedSaysSoAndKeepsWhatWasTyped(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.expect("Failed to load resource")
	p.expect("htmx:error")
	with := p.answerPosts()
	gone := func(id fetch.RequestID) {
		_, _ = chromedp.Call(p.ctx, fetch.FailRequest, fetch.FailRequestParams{RequestID: id, ErrorReason: network.ErrorReasonConnectionRefused})
	}
	busy := func(id fetch.RequestID) {
		_, _ = chromedp.Call(p.ctx, fetch.FulfillRequest, fetch.FulfillRequestParams{RequestID: id, ResponseCode: 503,
			ResponseHeaders: []*fetch.HeaderEntry{{Name: "Content-Type", Value: "text/html"}},
			Body:            []byte(`<html><main><section class="failure"><h1>Busy</h1><p>The server is busy.</p></section></main></html>`)})
	}
	silent := func(fetch.RequestID) {}

	for _, f := range savingForms {
		for _, test := range []struct {
			answer func(fetch.RequestID)
			says   string
		}{{gone, "could not be reached"}, {busy, "The server is busy. Nothing was saved"}, {silent, "did not answer in time"}} {
			p.visit(f.page)
			value[bool](p, `htmx.config.defaultTimeout = 300, true`)
			if f.field != "" {
				p.fill(f.selector+" [name="+f.field+"]", f.typed)
			}
			with.Store(&test.answer)
			p.send(f)
			if said := p.saysNotSaved(f.selector); !strings.Contains(said, test.says) {
				t.Errorf("%s %s says %q, want %q", f.page, f.selector, said, test.says)
			}
			with.Store(nil)
			if at := value[string](p, `location.pathname`); at != f.page {
				t.Errorf("%s %s leads to %s", f.page, f.selector, at)
			}
			if f.field == "" {
				continue
			}
			if kept := value[string](p, `document.querySelector(`+quote(f.selector+" [name="+f.field+"]")+`).value`); kept != f.typed {
				t.Errorf("%s %s keeps %q, want %q", f.page, f.selector, kept, f.typed)
			}
		}
	}

	// The last one can be sent once the server is back.
	p.fill(`main form [name=slug]`, "another")
	p.press(kb.Enter)
	p.waitFor("the new organization", `location.pathname.startsWith("/orgs/another/")`)
}

func TestSigningInSaysThatTheServerIsGone(t *testing.T) {
	server := serveDemo(t)
	p := open(t, server)
	p.expect("Failed to load resource")
	p.expect("htmx:error")
	p.visit("/login")
	p.fill(`input[name=email]`, "admin@example.com")
	p.fill(`input[name=password]`, "audit-demo")
	server.Stop()
	p.press(kb.Enter)
	p.saysNotSaved("the sign-in form")
	if kept := value[string](p, `document.querySelector("[name=email]").value + document.querySelector("[name=password]").value`); kept != "admin@example.comaudit-demo" {
		t.Errorf("the form keeps %q", kept)
	}
}

// A form whose session has ended asks for the password over the page, and is saved then.
func TestAFormGoesOnAfterSigningInAgain(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.expect("Failed to load resource")
	p.expect("htmx:error")
	for _, test := range []struct {
		form  form
		saved string // a condition
	}{
		{savingForms[0], `document.querySelector("#organization-name").value === "Northwind Shipping" && document.querySelector("main .banner.success") && document.readyState === "complete"`},
		{savingForms[1], `document.querySelector("#retention-days").value === "120" && document.querySelector("#audit-log-configuration .banner.success")`},
		{savingForms[4], `document.querySelector("#shown-link")`},
		{savingForms[6], `document.querySelector("#shown-key")`},
	} {
		f := test.form
		p.visit(f.page)
		p.fill(f.selector+" [name="+f.field+"]", f.typed)
		p.endSessions()
		p.send(f)
		p.waitFor("the question for the password", `document.querySelector("dialog[open] [name=password]") === document.activeElement`)
		barriers{}.look(p, "signing in again", "light and dark")
		p.press("wrong" + kb.Enter)
		p.waitFor("the reason", `document.querySelector("dialog[open] [aria-invalid]")`)
		p.press("audit-demo" + kb.Enter)
		p.waitFor(f.selector+" to be saved", `!document.querySelector("dialog[open]") && `+test.saved)
	}
	if stored := value[int](p, `Object.keys(sessionStorage).concat(Object.keys(localStorage)).filter(key => !["zone", "keys"].includes(key)).length`); stored != 0 {
		t.Errorf("%d things are kept in the browser's storage", stored)
	}

	// Somebody who does not sign in is told that nothing was saved, and keeps what was typed.
	p.visit(settings)
	p.fill(`#organization-name`, "Unsaved")
	p.endSessions()
	p.send(savingForms[0])
	p.waitFor("the question for the password", `document.querySelector("dialog[open] [name=password]")`)
	p.press(kb.Escape)
	if said := p.saysNotSaved("the form"); !strings.Contains(said, "nothing was saved") {
		t.Errorf("says %q", said)
	}
	if kept := value[string](p, `document.querySelector("#organization-name").value`); kept != "Unsaved" {
		t.Errorf("the field holds %q", kept)
	}
}

// Typing into a field whose meaning the server explains must not lose the form either.
func TestTypingAfterTheSessionEndedKeepsTheForm(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.visit(settings)
	p.endSessions()
	p.fill(`#retention-days`, "45")
	p.waitFor("the question for the password", `document.querySelector("dialog[open] [name=password]")`)
	p.press("audit-demo" + kb.Enter)
	p.waitFor("the form", `!document.querySelector("dialog[open]") && document.querySelector("#retention-days").value === "45"`)
}

// A search that meets an ended session is answered after signing in.
func TestASearchSurvivesTheEndOfTheSession(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(logs + "?entity_type=service")
	p.endSessions()
	p.fill(`input[name=q]`, "rate-engine")
	p.waitFor("the sign-in page", `location.pathname === "/login" && document.readyState === "complete"`)
	p.signIn("member@example.com")
	p.waitForQuery("q", "rate-engine")
	p.waitForQuery("entity_type", "service")
	if typed := value[string](p, `document.querySelector("#q").value`); typed != "rate-engine" {
		t.Errorf("the search box holds %q", typed)
	}
}

// What the page asks for by itself does not take it away from whoever reads or types.
func TestCountingAfterTheSessionEndedLeavesThePage(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(logs)
	p.endSessions()
	p.waitFor("the counts", `performance.getEntriesByType("resource").some((r) => r.name.includes("/counts") && r.responseEnd > 0)`)
	p.waitUntilQuiet()
	if at := value[string](p, `location.pathname`); at != logs {
		t.Errorf("it is at %s", at)
	}
}

// Without script the sign-in page says that nothing was saved, and leads back to the form.
func TestAFormWithoutScriptAfterTheSessionEnded(t *testing.T) {
	p := open(t, serveDemo(t))
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.visit("/login")
	p.signIn("admin@example.com")
	p.visit(settings)
	p.endSessions()
	p.fill(`#organization-name`, "Unsaved")
	p.press(kb.Enter)
	p.waitFor("the sign-in page", `location.pathname === "/login" && /nothing was saved/.test(document.querySelector("main [role=status]")?.textContent ?? "")`)
	p.fill(`input[name=email]`, "admin@example.com")
	p.fill(`input[name=password]`, "audit-demo")
	p.press(kb.Enter)
	p.waitFor("the page of the form", `location.pathname === "`+settings+`" && document.querySelector("#organization-name").value !== "Unsaved"`)
}
