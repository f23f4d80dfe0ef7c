package browsertest

import (
	"slices"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Enter in a menu ticks the option that has the focus or the only one found, and never removes a filter.
func TestEnterInAMenuOnlyTicks(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.click(`details[data-options=action] summary`)
	p.waitFor("the focus in the menu's search", `document.activeElement.matches("[data-narrow]")`)
	p.press(kb.Enter) // nothing is meant
	p.press("service" + kb.Enter)
	p.waitUntilQuiet()
	if query := p.query(); len(query) != 0 {
		t.Fatalf("Enter chose %v of many", query)
	}
	p.fill(`details[data-options=action] [data-narrow]`, "rollback")
	p.press(kb.Enter)
	p.waitForQuery("action", "deployment:rollback")
	p.press(kb.Enter) // once more takes nothing away
	p.waitUntilQuiet()
	p.waitForQuery("action", "deployment:rollback")
	p.press(kb.ArrowDown + kb.Enter)
	p.waitUntilQuiet()
	p.waitForQuery("action", "deployment:rollback")
	p.fill(`details[data-options=action] [data-narrow]`, "deployment:cancel")
	p.press(kb.ArrowDown + kb.Enter)
	p.waitForQuery("action", "deployment:rollback", "deployment:cancel")
	p.press(kb.Enter)
	p.waitUntilQuiet()
	p.waitForQuery("action", "deployment:rollback", "deployment:cancel")
	p.press(kb.Escape)

	// People are looked for by the server: Enter waits for what is found.
	p.click(`details[data-options=actor] summary`)
	p.waitFor("the focus in the menu's search", `document.activeElement.name === "text"`)
	p.press("lucas moreau")
	p.press(kb.Enter)
	p.waitFor("the person", `new URLSearchParams(location.search).getAll("actor").length === 1 && !document.querySelector(".htmx-request")`)
	if users := slices.Compact(p.column("user")); !slices.Equal(users, []string{"Lucas Moreau"}) && len(users) > 0 {
		t.Errorf("Enter shows the entries of %v", users)
	}
	p.press(kb.Enter)
	p.waitUntilQuiet()
	if actors := p.query()["actor"]; len(actors) != 1 {
		t.Errorf("Enter once more leaves %v", actors)
	}
	p.waitForQuery("action", "deployment:rollback", "deployment:cancel")
}

// Rows that are open are open again after Back, from a page of filters and from another page.
func TestOpenRowsSurviveBack(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	ids := p.ids()
	openRow := func(n int) {
		t.Helper()
		p.click(`#entry-` + ids[n] + ` td[data-col=entity_type]`)
		p.waitFor("the details", `document.querySelector("#entry-`+ids[n]+` .entry-detail")`)
	}
	open := func(what string) {
		t.Helper()
		p.waitFor(what, `document.querySelectorAll("[data-entry-id] .entry-detail").length === 2 && ["`+ids[1]+`", "`+ids[4]+`"].every(id =>
			document.querySelector("#entry-" + id + " .entry-detail") && document.querySelector("#entry-" + id + " [aria-expanded=true]"))`)
	}
	openRow(1)
	openRow(2)
	openRow(4)
	p.click(`#entry-` + ids[2] + ` td[data-col=entity_type]`) // closes
	p.waitFor("the row to close", `!document.querySelector("#entry-`+ids[2]+` .entry-detail")`)

	p.click(`#entries thead th[data-col=user] a`)
	p.waitForQuery("sort", "user")
	if n := value[int](p, `document.querySelectorAll(".entry-detail").length`); n != 0 {
		t.Errorf("%d rows are open in another order", n)
	}
	p.do(chromedp.NavigateBack())
	p.waitForQuery("sort")
	open("the rows after Back")

	value[bool](p, `([...document.querySelectorAll("#entry-`+ids[1]+` .entry-links a")].find(a => a.textContent === "History").click(), true)`)
	p.waitFor("the history", `location.pathname.includes("/resources/") && document.readyState === "complete"`)
	p.do(chromedp.NavigateBack())
	open("the rows after Back from another page")
	p.do(chromedp.Reload())
	open("the rows after loading the page anew")
	if kept := value[string](p, `JSON.stringify({...sessionStorage, ...localStorage})`); len(kept) > 100 {
		t.Errorf("the browser's storage holds %s", kept)
	}
}

// With forced colours, lines and the system's own colours tell rows, selection and focus.
func TestForcedColours(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}})
	const line = `(e, side) => { const s = getComputedStyle(e); return parseFloat(s["border" + side + "Width"]) > 0 && s["border" + side + "Style"] !== "none" }`
	if !value[bool](p, `[...document.querySelectorAll("#entries .entry > *")].every(e => (`+line+`)(e, "Bottom"))`) {
		t.Error("nothing separates the rows")
	}
	id := p.ids()[0]
	p.click(`#entry-` + id + ` td[data-col=entity_type]`)
	p.waitFor("the details", `document.querySelector(".entry-detail")`)
	if !value[bool](p, `(`+line+`)(document.querySelector("#entry-`+id+` .entry > :first-child"), "Left") && (`+line+`)(document.querySelector(".entry-detail > td"), "Left")`) {
		t.Error("nothing tells an open row")
	}
	p.press("jj")
	p.waitFor("the focus on a row", `document.activeElement.matches("#entries [aria-expanded]")`)
	if style := value[string](p, `getComputedStyle(document.activeElement.closest("tr")).outlineStyle`); style != "solid" {
		t.Errorf("the row with the focus has the outline %s", style)
	}
	if !value[bool](p, `["[aria-current=page]", ".theme-switch [aria-pressed=true]"].every(selection => (`+line+`)(document.querySelector(selection), "Bottom"))`) {
		t.Error("nothing tells what is selected")
	}
}
