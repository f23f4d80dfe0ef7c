package browsertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const views = logs + "/views"

// tabToMatch is tabTo for what a selector finds, where the focus must be seen.
func (p *page) tabToMatch(selector string) {
	p.t.Helper()
	p.tabTo(selector, `document.activeElement.matches(`+quote(selector)+`)`)
	if stop := p.stop(); !stop.Visible || !stop.Outlined {
		p.t.Errorf("the focus cannot be seen on %+v", stop)
	}
}

// A view is saved, used and removed by keyboard, with columns of its own.
func TestAViewByKeyboard(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.visit(logs + "?outcome=denied")
	p.tabToMatch(`.columns-menu > summary`)
	p.press(kb.Enter)
	p.tabToMatch(`.columns-menu [value=entity_type]`)
	p.press(" ")
	p.tabToMatch(`.columns-menu [value=ip]`)
	p.press(" ")
	p.tabToMatch(`.columns-menu input.mono`)
	p.press("reason")
	p.press(kb.Enter)
	p.waitForQuery("column", "entity_id", "user", "ip", "meta.reason")
	heads := p.texts(`#entries thead th`)
	if len(heads) != 6 || heads[1] != "Entity ID" || heads[3] != "IP" || heads[4] != "reason" {
		t.Errorf("the columns are %v", heads)
	}
	if value[bool](p, `document.activeElement === document.body`) {
		t.Error("applying the columns loses the focus")
	}
	// They stay with the next filter, which shows in the address and in the view to save.
	p.click(`details[data-options=action] summary`)
	p.click(`details[data-options=action] label:has([value="service:delete"])`)
	p.waitForQuery("action", "service:delete")
	p.waitForQuery("column", "entity_id", "user", "ip", "meta.reason")

	p.press(kb.Escape)
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#q").focus()`))
	p.pressWith(chromedp.ModifierShift, kb.Tab)
	for range 5 {
		if value[bool](p, `document.activeElement.id === "save-view"`) {
			break
		}
		p.pressWith(chromedp.ModifierShift, kb.Tab)
	}
	p.press(kb.Enter)
	p.waitFor("the form", `document.activeElement.id === "field-name" && document.readyState === "complete"`)
	seen := barriers{}
	seen.look(p, "the form that saves a view", "light and dark")
	p.press("Denied deletions")
	p.tabToMatch(`[name=shared]`)
	p.press(" ")
	p.tabToMatch(`[name=default]`)
	p.press(" ")
	p.press(kb.Enter)
	p.waitFor("the notice", `document.querySelector("[role=status]")?.textContent.includes("Denied deletions stands beside the log")`)
	seen.look(p, "the views", "light and dark")

	p.visit(logs)
	if got := p.query(); got.Get("outcome") != "denied" || got.Get("action") != "service:delete" || len(got["column"]) != 4 {
		t.Errorf("the log begins with %v", got)
	}
	if current := p.texts(`#side-views [aria-current]`); !slices.Equal(current, []string{"Denied deletions"}) {
		t.Errorf("beside the log %v is current", current)
	}
	seen.look(p, "the log with a view and its columns", "light and dark")
	p.click(`.columns-menu summary`)
	seen.look(p, "the columns to choose from", "light and dark")
	for _, width := range []int64{360, 1000, 1440} {
		p.size(width, 800)
		p.visit(logs)
		p.fits(t, "a view with its columns")
		p.visit(views + "?q=x")
		p.fits(t, "the views")
	}
	p.visit(logs)
	p.tabToMatch(`.default-view a`)
	p.press(kb.Enter)
	p.waitForQuery("view", "all")
	if rows := p.ids(); len(rows) != 50 {
		t.Errorf("of all entries %d are shown", len(rows))
	}
	p.click(`details:has([name=outcome]) summary`)
	p.click(`label:has([name=outcome][value=denied])`)
	p.waitForQuery("view")
	p.click(`label:has([name=outcome][value=denied])`)
	p.waitForQuery("view", "all")

	p.visit(views)
	p.tabToMatch(`[aria-label="Rename Denied deletions"]`)
	p.press(kb.Enter)
	p.tabToMatch(`.view-name .input`)
	p.press("Refused deletions")
	p.press(kb.Enter)
	p.waitFor("the notice", `document.querySelector("[role=status]")?.textContent.includes("is called Refused deletions now")`)
	p.tabToMatch(`[aria-label="Remove Refused deletions"]`)
	p.press(kb.Enter)
	p.waitFor("the notice", `document.querySelector("[role=status]")?.textContent.includes("Refused deletions was removed")`)
}

func TestAViewWithoutScript(t *testing.T) {
	p := open(t, serveDemo(t))
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.visit("/login")
	p.signIn("member@example.com")
	p.visit(logs + "?outcome=failure")
	p.click(`.columns-menu summary`)
	p.click(`.columns-menu label:has([value=ip])`)
	p.click(`.columns-menu button`)
	p.waitFor("the column", `location.search === "?outcome=failure&column=entity_type&column=entity_id&column=user&column=ip" && document.readyState === "complete"`)
	p.click(`#save-view`)
	p.waitFor("the form", `document.querySelector("#field-name")`)
	p.fill(`#field-name`, "Failures")
	p.press(kb.Enter)
	p.waitFor("the view", `document.querySelector("[role=status]") && document.readyState === "complete"`)
	p.visit(logs)
	p.click(`#side-views a[href*="column=ip"]`)
	p.waitFor("its entries", `new URLSearchParams(location.search).get("outcome") === "failure" && document.readyState === "complete"`)
	if heads := strings.Join(p.texts(`#entries thead th`), " "); !strings.Contains(heads, "IP") {
		t.Errorf("the columns are %s", heads)
	}
}
