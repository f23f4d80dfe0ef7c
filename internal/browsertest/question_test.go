package browsertest

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// Terms become filters when they are entered, not while they are typed.
func TestATermIsAFilterOnceEntered(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.press("/")
	p.waitFor("the search box", `document.activeElement.name === "q"`)

	p.press("service action:")
	p.waitFor("the explanation", `/action: needs a value/.test(document.getElementById("question-notes").textContent)`)
	p.waitFor("the entries that are understood", `document.querySelector("[data-entry-id]") && !document.querySelector("#problem *")`)
	p.press("service:update")
	p.waitForQuery("q", "service action:service:update")
	p.waitFor("no explanation", `document.getElementById("question-notes").textContent.trim() === ""`)
	if value[bool](p, `new URLSearchParams(location.search).has("action") || !!document.querySelector('input[name="action"]:checked')`) {
		t.Error("what was typed is a filter already")
	}

	p.press(kb.Enter)
	p.waitForQuery("action", "service:update")
	p.waitForQuery("q", "service")
	p.waitFor("the box to hold the rest", `document.getElementById("q").value === "service"`)
	p.waitFor("its chip", `document.querySelector('.chip[data-name="action"]')`)

	// What cannot be understood stays as it was typed, and so do the rows.
	p.expect("400 (Bad Request)")
	p.press(" acton:x" + kb.Enter)
	p.waitFor("what would be right", `/Right would be action:x/.test(document.getElementById("question-notes").textContent)`)
	p.waitFor("what was typed, and the rows", `document.getElementById("q").value === "service acton:x" && document.querySelector("[data-entry-id]")`)
}
