package browsertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The pictures of docs/guide.md show what stands there now: each scene is played here, and make pictures keeps what it looks like.
func TestTheGuideShowsWhatIsThere(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	p := signedIn(t, serveDemo(t), "admin@example.com")
	picture := func(name string, height int64) {
		t.Helper()
		file := "pictures/" + name + ".png"
		if !strings.Contains(string(guide), "("+file+")") {
			t.Errorf("the guide does not show %s", file)
		}
		p.waitUntilQuiet()
		p.size(1200, height)
		if os.Getenv("PICTURES") == "" {
			if _, err := os.Stat("../../docs/" + file); err != nil {
				t.Errorf("%v: make pictures takes it", err)
			}
			return
		}
		image, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.MkdirAll("../../docs/pictures", 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join("../../docs", file), image, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	counted := func() {
		t.Helper()
		p.waitFor("the chart", `document.querySelector("#counts svg")`)
	}

	p.size(1200, 800)
	p.visit(logs)
	counted()
	picture("log", 760)

	p.click("#q")
	p.press("actor:da")
	p.waitFor("what to type next", `document.querySelectorAll("#completions:not([hidden]) [role=option]").length > 1`)
	p.press(kb.ArrowDown)
	picture("box", 420)

	p.visit(logs + "?q=" + "name%3Astaging*+-actor%3Asystem&outcome=success")
	p.waitFor("the filters", `document.querySelectorAll("#filter-state .chip").length > 1`)
	counted()
	picture("filters", 560)

	p.visit(logs + "?action=service:delete&q=staging-database")
	p.click(`#entries [data-entry-id] td[data-col=timestamp]`)
	p.waitFor("the details", `document.querySelector(".entry-detail .way")`)
	counted()
	picture("entry", 900)

	p.visit("/orgs/northwind/settings/members")
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#restrictions-title").closest(".card").scrollIntoView(); undefined`))
	picture("roles", 620)

	p.visit("/orgs/northwind/settings/access-log")
	picture("access-log", 520)
}
