package browsertest

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// A group is one tick, one parameter and one chip, and its actions are not ticked one by one beside it.
func TestAWholeEntityIsOneTick(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.do(chromedp.Evaluate[chromedp.Void](`(() => { const send = window.fetch; window.sent = []; window.fetch = (address, options) => { window.sent.push(options.headers); return send(address, options) } })(); undefined`))
	p.click(`details[data-options=action] summary`)
	p.click(`[data-ticks]:not(:checked)[aria-label="All of Deployments"]`)
	p.waitForQuery("action", "deployment:*")
	p.waitFor("one chip", `document.querySelectorAll(".chip").length === 1 && document.querySelector(".chip").dataset.value === "deployment:*"`)
	p.waitFor("its actions to be ticked with it", `[...document.querySelectorAll("input[name=action][value^='deployment:']:not([value$='*'])")].every(box => box.checked && box.disabled)`)
	p.waitFor("the address to be sent once", `window.sent.length > 0 && window.sent.every(headers => !("HX-Current-URL" in headers))`)
	p.click(`details[data-options=action] label:has(input[value="deployment:*"])`)
	p.waitForQuery("action")
	p.waitFor("its actions to be free again", `[...document.querySelectorAll("input[name=action][value^='deployment:']")].every(box => !box.checked && !box.disabled)`)
}

// A tick that would make the address too long is refused in words, where it was tried.
func TestATickTooManyIsRefused(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.click(`details[data-options=action] summary`)
	p.click(`details[data-options=action] label:has(input[value="service:update"])`)
	p.waitForQuery("action", "service:update")
	p.waitUntilQuiet()
	p.do(chromedp.Evaluate[chromedp.Void](`void(document.getElementById("filters").dataset.longest = location.pathname.length + location.search.length + 10); undefined`))
	p.click(`details[data-options=action] label:has(input[value="deployment:create"])`)
	p.waitFor("the reason", `document.querySelector("details[data-options=action] .options-limit")?.checkVisibility()`)
	p.waitFor("the tick to be gone", `!document.querySelector('input[value="deployment:create"]').checked`)
	p.waitForQuery("action", "service:update")
	// Taking one off is never too much.
	p.click(`details[data-options=action] label:has(input[value="service:update"])`)
	p.waitForQuery("action")
	p.waitFor("the reason to be gone", `!document.querySelector(".options-limit")`)
}
