package browsertest

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// tabTo presses Tab until something has the focus.
func (p *page) tabTo(what, condition string) {
	p.t.Helper()
	for range 80 {
		p.press(kb.Tab)
		if value[bool](p, condition) {
			return
		}
	}
	p.t.Fatalf("Tab does not reach %s\nat %s", what, p.whereabouts())
}

// What a value of an opened entry offers is reached by keyboard.
func TestValuesLeadOnByKeyboard(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	recordFull(p)
	p.visit(fullLog)
	p.press("j" + kb.Enter)
	p.waitFor("the details", `document.querySelector(".entry-detail")`)
	path := `requestParameters.ipPermissions.ipProtocol`
	p.tabTo("the options of a value", `document.activeElement.getAttribute("aria-label") === "Options for `+path+`"`)
	if stop := p.stop(); !stop.Visible || !stop.Outlined || value[string](p, `getComputedStyle(document.activeElement).opacity`) != "1" {
		t.Errorf("the focus cannot be seen on %+v", stop)
	}

	p.press(kb.Enter)
	p.waitFor("the menu", `document.querySelector(".ways:popover-open")`)
	beside := value[bool](p, `(() => {
		const button = document.activeElement.getBoundingClientRect(), menu = document.querySelector(".ways:popover-open").getBoundingClientRect();
		return Math.abs(menu.left - button.left) < 2 && (Math.abs(menu.top - button.bottom) < 4 || Math.abs(menu.bottom - button.top) < 4);
	})()`)
	if !beside {
		t.Error("the menu does not stand beside its button")
	}
	p.press(kb.Escape)
	p.waitFor("the menu to close, and the focus back", `!document.querySelector(".ways:popover-open") && document.activeElement.matches(".way")`)
	p.press(kb.Enter)
	p.tabTo("Copy", `document.activeElement.textContent === "Copy"`)
	p.press(kb.Enter)
	p.waitFor("the word that it was copied", `!document.querySelector(".ways:popover-open") && /Copied/.test(document.querySelector(".toast")?.textContent)`)

	p.press(kb.Enter)
	p.waitFor("the menu", `document.querySelector(".ways:popover-open")`)
	p.tabTo("Without this", `document.activeElement.textContent === "Without this"`)
	p.press(kb.Enter)
	p.waitForQuery("q", "-meta."+path+":tcp")
	p.waitForQuery("request_id", fullRequest)
	p.waitFor("the five entries that are left", `document.querySelectorAll("[data-entry-id]").length === 5`)
}
