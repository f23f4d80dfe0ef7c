package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestTheChartAboveTheTableLeadsOn(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(logs + "?from=-30d&outcome=failure&outcome=denied")
	p.waitFor("the number and the chart", `document.querySelector("#counts .counts-total").textContent.endsWith("entries") && document.querySelector("#counts svg a")`)
	if focused := value[string](p, `document.activeElement.className`); focused == "chip-remove" {
		t.Error("what nobody asked for takes the focus")
	}
	total := p.texts(`#counts .counts-total`)[0]
	before := value[float64](p, `document.querySelector("#entries").getBoundingClientRect().top`)

	// It follows the filters, and moves no row.
	p.click(`.chip[data-name=outcome] .chip-remove`)
	p.waitFor("another number", `document.querySelector("#counts svg") && document.querySelector("#counts .counts-total").textContent !== `+quote(total))
	if after := value[float64](p, `document.querySelector("#entries").getBoundingClientRect().top`); after != before {
		t.Errorf("the rows moved from %v to %v", before, after)
	}

	href := value[string](p, `document.querySelector("#counts svg a").getAttribute("href")`)
	p.do(chromedp.Evaluate[chromedp.Void](`window.stays = true; undefined`))
	p.click(`#counts svg a .chart-place`)
	p.waitFor("the entries of the bar", `new URLSearchParams(location.search).has("to") && document.querySelector("#counts svg")`)
	if !value[bool](p, `window.stays === true`) {
		t.Error("the page was loaded anew")
	}
	if !strings.Contains(href, "from=") {
		t.Errorf("a bar leads to %s", href)
	}
	p.click(`#counts summary`)
	if rows := p.texts(`#counts tbody tr`); len(rows) == 0 {
		t.Error("the table has no rows")
	}
	for _, width := range []int64{360, 1440} {
		p.size(width, 800)
		p.fits(t, "the log with its chart")
	}
}

func TestADragOverTheChartIsARange(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(logs + "?q=service")
	p.waitFor("the chart", `document.querySelectorAll("#counts svg a").length > 40`)
	bars := value[[][]any](p, `[...document.querySelectorAll("#counts svg a")].slice(10, 21).map((a) => {
		const place = a.getBoundingClientRect(), asked = new URLSearchParams(a.getAttribute("href").split("?")[1]);
		return [place.x + place.width / 2, place.y + place.height / 2, asked.get("from"), asked.get("to")];
	})`)
	first, last := bars[0], bars[len(bars)-1]
	for _, at := range []struct {
		kind input.DispatchMouseEventType
		bar  []any
	}{{chromedp.MousePressed, first}, {chromedp.MouseMoved, bars[5]}, {chromedp.MouseMoved, last}, {chromedp.MouseReleased, last}} {
		p.do(chromedp.MouseEvent(at.kind, at.bar[0].(float64), at.bar[1].(float64), chromedp.ButtonLeft))
	}
	p.waitForQuery("from", first[2].(string))
	p.waitForQuery("to", last[3].(string))
	p.waitForQuery("q", "service")
}

// What takes several requests to count is counted on by itself, and further when asked for.
func TestTheChartGoesOn(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(logs + "?outcome=failure&outcome=denied")
	p.waitFor("the number and the chart", `document.querySelector("#counts svg a")`)
	p.waitUntilQuiet()
	total := p.texts(`#counts .counts-total`)[0]
	// As the server has it where there are more than are counted at once, of which there are not so many here.
	p.do(chromedp.Evaluate[chromedp.Void](`(() => {
		const counts = document.getElementById("counts"), at = "&at=ffffffff-ffff-7fff-bfff-ffffffffffff";
		const address = location.pathname + "/counts" + location.search + at;
		counts.outerHTML = '<section class="counts" id="counts" data-unasked hx-get="' + address + '&step=2" hx-trigger="load delay:150ms" hx-target="this" hx-swap="outerHTML" hx-push-url="false" hx-sync="this:replace" hx-indicator="this"><p class="counts-total">10,000+ entries</p></section>';
		htmx.process(document.getElementById("counts"));
	})(); undefined`))
	p.waitFor("what was counted on", `document.querySelector("#counts .counts-total").textContent === `+quote(total))

	p.do(chromedp.Evaluate[chromedp.Void](`(() => {
		const total = document.querySelector("#counts .counts-total"), address = location.pathname + "/counts" + location.search + "&exact=1";
		total.innerHTML = 'Many <a href="' + address + '" hx-get="' + address + '" hx-target="#counts" hx-swap="outerHTML" hx-push-url="false">Count exactly</a>';
		htmx.process(total);
		total.querySelector("a").focus();
	})(); undefined`))
	p.press(kb.Enter)
	p.waitFor("the exact number, with the focus", `document.activeElement.matches("#counts .counts-total") && document.activeElement.textContent === `+quote(total))
	if value[string](p, `location.search`) != "?outcome=failure&outcome=denied" {
		t.Errorf("counting leads to %s", value[string](p, `location.href`))
	}
}
