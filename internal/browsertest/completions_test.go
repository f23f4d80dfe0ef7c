package browsertest

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// The search box completes terms and values by keyboard, and says so to screen readers.
func TestTheQuestionIsCompletedByKeyboard(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(logs)
	options := func() []string {
		return value[[]string](p, `[...document.querySelectorAll("#completions:not([hidden]) [role=option]")].map((o) => o.querySelector("bdi").textContent)`)
	}
	p.press("/")
	p.press(kb.ArrowDown)
	p.waitFor("all fields", `document.querySelectorAll("#completions:not([hidden]) [role=option]").length === 8`)
	p.press("out")
	p.waitFor("the field", `document.querySelectorAll("#completions:not([hidden]) [role=option]").length === 1`)
	if got := options(); got[0] != "outcome:" {
		t.Errorf("offers %q", got)
	}
	p.waitForQuery("q", "out")
	p.waitFor("the entries", `!document.querySelector(".htmx-request")`)
	barriers{}.look(p, "completions", "light and dark")
	p.press(kb.ArrowDown)
	if got := value[string](p, `document.getElementById(document.activeElement.getAttribute("aria-activedescendant")).textContent`); got == "" {
		t.Error("no option is active")
	}
	p.press(kb.Enter)
	p.waitFor("the values", `document.querySelector("#q").value === "outcome:" && document.querySelectorAll("#completions:not([hidden]) [role=option]").length === 3`)
	p.press("de" + kb.ArrowDown)
	p.waitFor("the value", `document.querySelectorAll("#completions:not([hidden]) [role=option]").length === 1`)
	p.press(kb.ArrowDown + kb.Enter)
	p.waitFor("the term", `document.querySelector("#q").value === "outcome:denied "`)
	p.press(kb.Enter)
	p.waitForQuery("outcome", "denied")
	if got := options(); len(got) != 0 {
		t.Errorf("still offers %q", got)
	}
}
