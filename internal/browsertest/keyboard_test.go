package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focusedEntry is the position of the row that has the focus, or -1.
func (p *page) focusedEntry() int {
	p.t.Helper()
	return value[int](p, `[...document.querySelectorAll("[data-entry-id]")].findIndex(e => e.contains(document.activeElement))`)
}

// stop is what has the focus.
type stop struct {
	Name, Text, Address string
	Row                 bool // it is in a row of the log
	Opens               bool // it opens or closes one
	Visible, Outlined   bool
}

func (p *page) stop() stop {
	p.t.Helper()
	return value[stop](p, `(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		const ring = s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== "none";
		return {name: e.getAttribute("name") ?? "", text: (e.textContent ?? "").trim().slice(0, 40), address: e.getAttribute("href") ?? "",
			row: !!e.closest("[data-entry-id]"), opens: e.hasAttribute("aria-expanded"),
			visible: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
			outlined: ring(style) || ring(getComputedStyle(e.parentElement)) || ring(getComputedStyle(e.closest("label, .search-box") ?? e))};
	})()`)
}

func TestKeys(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	at := func(want int) {
		t.Helper()
		p.waitFor(fmt.Sprintf("the focus on row %d", want),
			fmt.Sprintf(`[...document.querySelectorAll("[data-entry-id]")].findIndex(e => e.contains(document.activeElement)) === %d`, want))
	}
	p.press("j")
	at(0)
	p.press("jj")
	at(2)
	p.press("k")
	at(1)
	p.press(kb.ArrowDown)
	at(2)
	p.press(kb.Enter)
	p.waitFor("the row to open", `document.querySelectorAll("[data-entry-id]")[2].querySelector(".entry-detail")`)
	at(2)
	p.press(kb.Enter)
	p.waitFor("the row to close", `!document.querySelector(".entry-detail")`)
	p.press("c")
	p.waitFor("the word that the link was copied", `/copied/i.test(document.querySelector(".toast")?.textContent ?? "")`)

	p.press("?")
	p.waitFor("the list of keys", `document.querySelector("dialog[open]")`)
	p.press(kb.Escape)
	p.waitFor("the list to close", `!document.querySelector("dialog[open]")`)

	p.press("/")
	p.waitFor("the search box", `document.activeElement.name === "q"`)
	// Letters typed there are letters.
	p.press("jk")
	p.waitForQuery("q", "jk")
	if row := p.focusedEntry(); row != -1 {
		t.Errorf("typing moved the focus to row %d", row)
	}
}

func TestKeysCanBeSwitchedOff(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.press("?")
	p.waitFor("the list of keys", `document.querySelector("dialog[open]")`)
	p.click(`dialog[open] input[type=checkbox]`)
	p.waitFor("them to be off", `localStorage.getItem("keys") === "off"`)
	p.press(kb.Escape)
	p.waitFor("the list to close", `!document.querySelector("dialog[open]")`)
	p.press("j/")
	if tag := value[string](p, `document.activeElement.name ?? ""`); tag == "q" || p.focusedEntry() >= 0 {
		t.Error("keys work although they were switched off")
	}
}

// Everything can be done with Tab alone too: from the top of the page to an open row and out of it.
func TestTab(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.press(kb.Tab)
	if text := value[string](p, `document.activeElement.textContent.trim()`); text != "Skip to content" {
		t.Errorf("the first stop is %q", text)
	}
	p.press(kb.Enter)
	reached := map[string]bool{}
	for range 60 {
		p.press(kb.Tab)
		stop := p.stop()
		if !stop.Visible {
			t.Errorf("the focus is on something that cannot be seen: %+v", stop)
		}
		if !stop.Outlined {
			t.Errorf("the focus cannot be seen on %+v", stop)
		}
		reached[stop.Name] = true
		reached[stop.Text] = true
		if stop.Row {
			break
		}
	}
	for _, stop := range []string{"q", "Action", "User", "Timestamp"} {
		found := false
		for text := range reached {
			found = found || len(text) >= len(stop) && text[:len(stop)] == stop
		}
		if !found {
			t.Errorf("Tab does not reach %s: %v", stop, reached)
		}
	}
	if p.focusedEntry() != 0 {
		t.Fatal("Tab does not reach the first row")
	}
	p.press(kb.Enter)
	p.waitFor("the row to open", `document.querySelector("[data-entry-id] .entry-detail")`)
	for range 8 {
		p.press(kb.Tab)
	}
	if !value[bool](p, `!!document.activeElement.closest(".entry-detail, [data-entry-id]")`) {
		t.Error("Tab does not lead through the open row")
	}
	p.pressWith(chromedp.ModifierShift, kb.Tab)
	if !value[bool](p, `!!document.activeElement.closest("[data-entry-id]")`) {
		t.Error("Shift and Tab do not lead back into the row")
	}
}
