package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// longZone has one of the longest names there are.
const longZone = "America/Argentina/ComodRivadavia"

// The zone's name stands whole beside the times, however wide the page is.
func TestTheZonesNameIsNeverCut(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.waitFor("the browser's own zone", `document.documentElement.dataset.zone === "Europe/Berlin"`)
	value[bool](p, `fetch("/preferences", {method: "POST", body: new URLSearchParams({tz: "`+longZone+`"})}).then(answer => answer.ok)`)
	for _, width := range []int64{360, 390, 768, 1000, 1100, 1280, 1440} {
		p.size(width, 900)
		p.visit(logs)
		const whole = `[...document.querySelectorAll("#entries .zone, #entries .zone-note")].some(e => {
			if (!e.checkVisibility() || !e.textContent.includes("` + longZone + `")) return false;
			const range = document.createRange();
			range.selectNodeContents(e);
			return [...range.getClientRects()].every(r => {
				for (let box = e; box && box.id !== "entries"; box = box.parentElement) {
					const b = box.getBoundingClientRect();
					if (getComputedStyle(box).overflow !== "visible" && (r.right > b.right + 1 || r.bottom > b.bottom + 1)) return false;
				}
				return r.left >= 0 && r.right <= innerWidth;
			});
		})`
		if !value[bool](p, whole) {
			t.Errorf("the zone of the table is cut or missing at %d px", width)
		}
		p.fits(t, fmt.Sprintf("the log in a long zone at %d px", width))
		if value[bool](p, `document.querySelector(".filters-button").checkVisibility()`) {
			p.click(`.filters-button`)
		}
		p.click(`#range summary`)
		if !value[bool](p, `(() => {
			const legend = document.querySelector("#range legend"), box = legend.closest(".range-panel").getBoundingClientRect();
			const range = document.createRange();
			range.selectNodeContents(legend);
			return legend.textContent.includes("`+longZone+`") && [...range.getClientRects()].every(r => r.left >= box.left && r.right <= box.right);
		})()`) {
			t.Errorf("the zone of the range is cut at %d px", width)
		}
	}
}

// A range is chosen to the minute, replaces a preset, and filters go on working while one is half typed.
func TestARangeOfOnesOwn(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(logs + "?from=-7d&action=service:update")
	p.click(`#range summary`)
	value[bool](p, `(() => { document.querySelector("#from").focus(); return true })()`)
	p.press("05192026" + kb.Tab + "0130")
	// Half of it is enough for everything else.
	p.do(chromedp.SetValue(chromedp.CSS(`select[name=entity_type]`), "service"))
	p.waitForQuery("entity_type", "service")
	p.waitForQuery("from", "-7d")

	p.visit(logs + "?from=-7d&action=service:update")
	p.click(`#range summary`)
	p.do(chromedp.SetValue(chromedp.CSS(`#from`), "2026-05-18T13:00"), chromedp.SetValue(chromedp.CSS(`#to`), "2026-05-19T13:00:30"))
	p.click(`#range button[type=submit]`)
	p.waitForQuery("from", "2026-05-18T13:00")
	p.waitForQuery("to", "2026-05-19T13:00:30")
	p.waitForQuery("tz", "Europe/Berlin")
	p.waitForQuery("action", "service:update")
	times := value[[]string](p, `[...document.querySelectorAll("[data-entry-id] [data-col=timestamp] time")].map(e => e.getAttribute("datetime"))`)
	for _, at := range times {
		if at < "2026-05-18T11:00" || at >= "2026-05-19T11:00:30" {
			t.Errorf("shows %s", at)
		}
	}
	if len(times) == 0 {
		t.Error("shows nothing")
	}

	// Around an entry: the fields are filled, the filters stay, and the entry is there.
	entry := p.ids()[0]
	p.click(`#entry-` + entry + ` td[data-col=entity_type]`)
	p.waitFor("the details", `document.querySelector(".entry-detail")`)
	p.click(`.entry-links [popovertarget]`)
	value[bool](p, `([...document.querySelectorAll(".ways:popover-open a")].find(a => a.textContent.includes("5 minutes")).click(), true)`)
	p.waitFor("the time around it", `!location.search.includes("2026-05-18T13:00")`)
	p.waitForQuery("action", "service:update")
	p.waitForQuery("from", value[string](p, `document.querySelector("#from").value`))
	p.waitFor("the entry", `document.querySelector("#entry-`+entry+`")`)
}
