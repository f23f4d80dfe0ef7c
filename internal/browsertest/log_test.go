package browsertest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The steps of "Access Audit Logs".
func TestAccessAuditLogs(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(members)
	p.click(`nav a[href="/orgs/northwind/settings"]`) // Open Settings.
	p.waitFor("the settings", `location.pathname === "/orgs/northwind/settings"`)
	p.click(`main a[href="` + logs + `"]`) // Go to Audit Logs.
	p.waitFor("the log", `location.pathname === "`+logs+`" && document.querySelectorAll("[data-entry-id]").length === 50`)

	if heads := p.texts(`#entries thead th a`); !slices.Equal(heads, []string{"Action", "Entity type", "User", "Timestamp"}) {
		t.Errorf("columns that sort: %v", heads)
	}
	p.click(`#entries [data-entry-id] td[data-col=entity_type]`)
	p.waitFor("the details", `document.querySelector("[data-entry-id] .entry-detail")`)
	details := strings.Join(p.texts(`[data-entry-id] .entry-detail`), "")
	for _, part := range []string{"Metadata", "View resource", "UTC"} {
		if !strings.Contains(details, part) {
			t.Errorf("the details do not hold %q: %s", part, details)
		}
	}
}

func TestFilterByAction(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.click(`details[data-options=action] summary`)
	p.waitFor("the focus in the menu's search", `document.activeElement.matches("[data-narrow]")`)
	p.press("rollback")
	p.waitFor("the options to narrow", `[...document.querySelectorAll("details[data-options=action] li")].filter(e => e.checkVisibility()).length === 1`)
	p.click(`details[data-options=action] li:not([hidden]) label`)
	p.waitForQuery("action", "deployment:rollback")
	p.waitFor("the table", `document.querySelectorAll("[data-entry-id]").length > 0`)
	for _, action := range p.column("action") {
		if action != "deployment:rollback" {
			t.Fatalf("the filtered log shows %s", action)
		}
	}
	// Another tick adds to it, Escape closes, and the chips say what is on.
	p.fill(`details[data-options=action] [data-narrow]`, "deployment:cancel")
	p.press(kb.ArrowDown + " ")
	p.waitForQuery("action", "deployment:rollback", "deployment:cancel")
	p.press(kb.Escape)
	p.waitFor("the menu to close", `!document.querySelector("details[data-options=action]").open`)
	if chips := slices.Sorted(slices.Values(p.texts(`.chip .chip-value`))); !slices.Equal(chips, []string{"deployment:cancel", "deployment:rollback"}) {
		t.Errorf("chips: %v", chips)
	}
	p.click(`.chip[data-value="deployment:rollback"] .chip-remove`)
	p.waitForQuery("action", "deployment:cancel")

	// Back and forward lead through the filters that were chosen.
	p.do(chromedp.NavigateBack())
	p.waitForQuery("action", "deployment:rollback", "deployment:cancel")
	p.waitFor("the chips", `document.querySelectorAll(".chip").length === 2`)
	p.do(chromedp.NavigateForward())
	p.waitForQuery("action", "deployment:cancel")
	p.waitFor("the chip", `document.querySelectorAll(".chip").length === 1`)
	p.click(`.chip-clear`)
	p.waitForQuery("action")
}

func TestFilterByActor(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.click(`details[data-options=actor] summary`)
	p.click(`details[data-options=actor] label:has(input[value=system])`)
	p.waitForQuery("actor", "system")
	for _, user := range p.column("user") {
		if user != "system" {
			t.Fatalf("the entries of system show one of %s", user)
		}
	}
	p.click(`details[data-options=actor] label:has(input[value=system])`)
	p.waitForQuery("actor")
	// Namesakes are told apart by their e-mail addresses.
	p.fill(`details[data-options=actor] input[type=search]`, "daniel kim")
	p.waitFor("both Daniel Kims", `["daniel.kim@northwind.example", "dkim@blueharbor.example"].every(mail =>
		document.querySelector("#actor-options").textContent.includes(mail))`)
	p.click(`#actor-options li:has(.option-note) label`)
	p.waitFor("one of them", `new URLSearchParams(location.search).getAll("actor").length === 1`)
	p.waitFor("the table", `[...document.querySelectorAll("tbody[data-entry-id] [data-col=user]")].every(e => e.textContent.includes("Daniel Kim"))`)
}

func TestFilterByTimeAndType(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.do(chromedp.SetValue(chromedp.CSS(`select[name=entity_type]`), "service"))
	p.waitForQuery("entity_type", "service")
	p.click(`#range summary`)
	p.click(`#range a[href*="from=-7d"]`)
	p.waitForQuery("from", "-7d")
	p.waitForQuery("entity_type", "service")
	// The story that the README asks about.
	p.visit(logs + "?q=staging-database&action=service:delete")
	if users := p.column("user"); !slices.Equal(users, []string{"Daniel Kim"}) {
		t.Errorf("the staging database was deleted by %v", users)
	}
}

func TestSearchFollowsTyping(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	lengthBefore := value[int](p, `history.length`)
	p.fill(`input[name=q]`, "carrier-sync")
	p.waitForQuery("q", "carrier-sync")
	p.waitFor("matches", `document.querySelectorAll("[data-entry-id]").length > 0`)
	for i, row := range p.texts(`#entries tbody[data-entry-id] tr.entry`) {
		if !strings.Contains(row, "carrier-sync") {
			t.Errorf("row %d does not match: %s", i, row)
		}
	}
	if value[string](p, `document.activeElement.name`) != "q" {
		t.Error("the search box lost the focus")
	}
	if length := value[int](p, `history.length`); length != lengthBefore {
		t.Errorf("typing added %d to the history", length-lengthBefore)
	}
	p.fill(`input[name=q]`, "no such thing anywhere")
	p.waitFor("the empty log", `document.querySelector("#entries").textContent.includes("Nothing matches")`)
	// Nothing matches, but somebody is called so.
	p.visit(logs + "?action=subscription:cancel")
	p.fill(`input[name=q]`, "lucas")
	p.waitFor("the offer to filter by the person", `[...document.querySelectorAll("#entries a")].some(e => e.textContent.includes("Lucas Moreau"))`)
}

// An answer that comes late must not replace the one to a later question.
func TestAStaleAnswerIsNotShown(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	paused := chromedp.Events(p.ctx, fetch.RequestPaused)
	goOn := func(id fetch.RequestID) {
		// The page may have given a request up: then there is nothing to go on with.
		_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: id})
	}
	held := make(chan fetch.RequestID, 1)
	go func() {
		for request, err := range paused {
			switch {
			case err != nil:
				return
			case strings.Contains(request.Request.URL, "q=rate-engine"):
				held <- request.RequestID
			default:
				goOn(request.RequestID)
			}
		}
	}()
	call(p, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/settings/audit-logs?*"}}})
	p.fill(`input[name=q]`, "rate-engine")
	var first fetch.RequestID
	select {
	case first = <-held:
	case <-time.After(patience):
		t.Fatal("the first search was never asked")
	}
	p.fill(`input[name=q]`, "label-printer")
	p.waitForQuery("q", "label-printer")
	goOn(first)
	p.waitUntilQuiet()
	for i, row := range p.texts(`#entries tbody[data-entry-id] tr.entry`) {
		if !strings.Contains(row, "label-printer") {
			t.Errorf("row %d is of the earlier search: %s", i, row)
		}
	}
	if q := p.query().Get("q"); q != "label-printer" {
		t.Errorf("the address says q=%s", q)
	}
}

// waitUntilQuiet waits until no request of the page is under way: another one, asked now, has
// been answered.
func (p *page) waitUntilQuiet() {
	p.t.Helper()
	asked := func() error {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		_, err := chromedp.Run(ctx, chromedp.Evaluate[string](`fetch("/healthz").then(answer => answer.text())`, chromedp.EvalAwaitPromise))
		return err
	}
	if err := asked(); err != nil { // it was on its way to another page
		if err = asked(); err != nil {
			p.t.Fatalf("%v\nat %s", err, p.whereabouts())
		}
	}
	p.waitFor("the page to be quiet", `!document.querySelector(".htmx-request")`)
}

func TestSort(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	for _, test := range []struct{ label, column, parameter string }{
		{"Action", "action", "action"},
		{"Entity type", "entity_type", "entity_type"},
		{"User", "user", "user"},
	} {
		for _, direction := range []string{"ascending", "descending"} {
			head := `#entries thead th[data-col=` + test.column + `]`
			before := value[string](p, `document.querySelector("`+head+`").getAttribute("aria-sort") ?? ""`)
			p.click(head + ` a`)
			p.waitFor("another order", `document.querySelector("`+head+`").getAttribute("aria-sort") !== "`+before+`" && !document.querySelector(".htmx-request")`)
			p.waitForQuery("sort", test.parameter)
			shown := p.column(test.column)
			fold := func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }
			want := slices.SortedStableFunc(slices.Values(shown), fold)
			if value[string](p, `document.querySelector("`+head+`").getAttribute("aria-sort")`) == "descending" {
				slices.Reverse(want)
			}
			if !slices.Equal(shown, want) {
				t.Errorf("%s, %s click: %v", test.label, direction, shown)
			}
			if texts := p.texts(`nav.pages a`); !slices.Contains(texts, "Next") {
				t.Errorf("the links below are %v, want Next", texts)
			}
		}
	}
	p.click(`#entries thead th[data-col=timestamp] a`)
	p.waitForQuery("sort")
	if sorted := value[string](p, `document.querySelector("#entries th[data-col=timestamp]").getAttribute("aria-sort")`); sorted != "descending" {
		t.Errorf("the log is sorted %s by time, want descending", sorted)
	}
	p.click(`#entries thead th[data-col=timestamp] a`)
	p.waitForQuery("dir", "asc")
	times := value[[]string](p, `[...document.querySelectorAll("[data-entry-id] [data-col=timestamp] time")].map(e => e.getAttribute("datetime"))`)
	if !slices.IsSorted(times) {
		t.Errorf("ascending by time: %v", times)
	}
}

func TestRowsOpenInPlace(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	before := p.ids()
	row := func(n int) string { return `#entry-` + before[n] }
	for _, n := range []int{2, 0, 5} {
		p.click(row(n) + ` [data-col=user]`)
		p.waitFor("the details", `document.querySelector("`+row(n)+` .entry-detail")`)
		if value[string](p, `document.querySelector("`+row(n)+` a[aria-expanded]").getAttribute("aria-expanded")`) != "true" {
			t.Errorf("row %d does not say that it is open", n)
		}
	}
	if open := value[int](p, `document.querySelectorAll(".entry-detail").length`); open != 3 {
		t.Errorf("%d rows are open, want 3", open)
	}
	if after := p.ids(); !slices.Equal(before, after) {
		t.Error("opening a row changed the list")
	}
	if address := value[string](p, `location.pathname + location.search`); address != logs {
		t.Errorf("opening a row changed the address to %s", address)
	}
	p.click(row(0) + ` [data-col=user]`)
	p.waitFor("the row to close", `!document.querySelector("`+row(0)+` .entry-detail")`)
	if open := value[int](p, `document.querySelectorAll(".entry-detail").length`); open != 2 {
		t.Errorf("%d rows are open, want 2", open)
	}
	// Each entry has a page of its own.
	link := value[string](p, `document.querySelector("`+row(0)+` a[aria-expanded]").getAttribute("href")`)
	p.visit(link)
	p.waitFor("the entry's page", `document.querySelector("main").textContent.includes("`+before[0]+`")`)
}

func TestPages(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	first := p.ids()
	pageLink := func(text string) {
		t.Helper()
		p.waitFor(text, `[...document.querySelectorAll("nav.pages a")].some(e => e.textContent.trim() === "`+text+`")`)
		p.click(`nav.pages a[rel=` + map[string]string{"Older": "next", "Newer": "prev"}[text] + `]`)
	}
	pageLink("Older")
	p.waitFor("the second page", `document.querySelector("[data-entry-id]").dataset.entryId !== "`+first[0]+`"`)
	second := p.ids()
	for _, id := range second {
		if slices.Contains(first, id) {
			t.Fatalf("entry %s is on both pages", id)
		}
	}
	if len(second) != 50 {
		t.Errorf("the second page has %d entries", len(second))
	}
	pageLink("Newer")
	p.waitFor("the first page", `document.querySelector("[data-entry-id]").dataset.entryId === "`+first[0]+`"`)
	if again := p.ids(); !slices.Equal(first, again) {
		t.Error("Newer does not lead back to the same entries")
	}
	// A page deep down is an address like any other.
	pageLink("Older")
	p.waitFor("the second page", `document.querySelector("[data-entry-id]").dataset.entryId === "`+second[0]+`"`)
	p.do(chromedp.Reload())
	if again := p.ids(); !slices.Equal(second, again) {
		t.Error("the second page shows other entries after it was loaded again")
	}
}
