package browsertest

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// axe is axe-core, which looks for barriers.
//
//go:embed testdata/axe.min.js
var axe string

// fewSay lists what few entries say: an outcome, types of actors, for whom they acted, nothing affected.
const fewSay = logs + "?limit=25&actor=agt_deploy_bot&actor=anonymous&actor=arn:aws:sts::111122223333:assumed-role/provisioner&action=deployment:create&action=service:delete&action=ec2:*&action=iam:*&action=console:*"

// pages are those of somebody signed in, with something in each.
func pages(p *page) []string {
	p.t.Helper()
	p.visit(logs)
	entry := value[string](p, `document.querySelector("[data-entry-id] a").getAttribute("href")`)
	p.visit(entry)
	history := value[string](p, `document.querySelector("a[href*='/resources/']").getAttribute("href")`)
	p.visit(history)
	person := value[string](p, `document.querySelector(".profile a[href*='/actors?']").getAttribute("href")`)
	p.visit(fewSay)
	meant := value[string](p, `document.querySelector("[data-entry-id]:has(.outcome):has(.service):has(.for) a").getAttribute("href")`)
	p.visit(apiKeys)
	masking := value[string](p, `document.querySelector("[data-key-id] .actions a").getAttribute("href")`)
	return slices.Concat([]string{fullLog}, recordFull(p), []string{
		fewSay,
		meant,
		logs + "?limit=25",
		logs + "?limit=25&action=service:update&actor=system&q=api&from=-30d",
		logs + "?limit=25&sort=user&dir=asc",
		logs + "?q=nothing+like+this",
		logs + "?limit=1000000",
		entry,
		history,
		person,
		"/orgs/northwind/settings",
		settings,
		members,
		apiKeys,
		masking,
		integrations,
		accessLog,
		accessLog + "?kind=search",
		views + "?q=x",
		"/orgs/acme-labs/settings/api-keys",
		"/account",
		"/orgs/new",
		"/orgs/nobody-has-this/settings/audit-logs",
	})
}

// markedPages is how many of the first of pages are there for what few entries say.
const markedPages = 5

// What axe finds is a mistake, on every page, in light and in dark.
func TestNoBarriers(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.expect("the server responded with a status of 4")
	seen := barriers{}
	everyPage := pages(p)
	for _, path := range everyPage {
		p.visit(path)
		seen.look(p, path, "light and dark")
	}
	// What is open counts as well.
	p.visit(logs + "?limit=25")
	p.click(`#entries [data-entry-id] td[data-col=entity_type]`)
	p.waitFor("the details", `document.querySelector(".entry-detail")`)
	seen.look(p, "an open row", "light and dark")
	p.visit(fullLog)
	p.openAll()
	seen.look(p, "rows that say everything", "light and dark")
	for _, menu := range append([]string{`#export`}, filterMenus...) {
		p.click(menu + ` summary`)
		p.waitFor("the menu "+menu, `document.querySelector("`+menu+`").open`)
		seen.look(p, "the menu "+menu, "light and dark")
	}
	p.visit(logs + "?limit=25")
	p.press("?")
	p.waitFor("the list of keys", `document.querySelector("dialog[open]")`)
	seen.look(p, "the list of keys", "light and dark")

	p.size(360, 740)
	for _, path := range append([]string{logs + "?limit=25", settings, members, apiKeys, integrations, accessLog, "/account"}, everyPage[:markedPages]...) {
		p.visit(path)
		seen.look(p, path+" on a phone", "light and dark")
	}
	p.visit(fullLog)
	p.openAll()
	seen.look(p, "rows that say everything, on a phone", "light and dark")
	p.click(`.filters-button`)
	for _, menu := range filterMenus {
		p.click(menu + ` summary`)
		p.waitFor("the menu "+menu, `document.querySelector("`+menu+`").open`)
		seen.look(p, "the menu "+menu+" on a phone", "light and dark")
	}
}

// filterMenus are the menus of the filter bar.
var filterMenus = []string{`details[data-options=action]`, `details[data-options=actor]`, `details:has([name=outcome])`, `#range`}

func TestNoBarriersBeforeSigningIn(t *testing.T) {
	p := open(t, serveDemo(t))
	p.expect("the server responded with a status of 4")
	seen := barriers{}
	for _, path := range []string{"/login", "/setup", "/invitations/nobody", "/reset/nobody"} {
		p.visit(path)
		seen.look(p, path, "light and dark")
	}
}

// barriers are those that were found already: one that stands on every page is told once.
type barriers map[string]bool

// look has axe look at the page as it is: all rules in light, and those about colours in dark.
func (seen barriers) look(p *page, what, themes string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](`if (!window.axe) {` + axe + `}; undefined`))
	for _, theme := range strings.Split(themes, " and ") {
		options := `{resultTypes: ["violations"]}`
		if theme == "dark" {
			options = `{resultTypes: ["violations"], runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}}`
		}
		p.prefersDark(theme == "dark")
		// Colours that are on their way from one theme to the other are not judged.
		p.do(chromedp.Evaluate[chromedp.Void](`document.body.checkVisibility(); document.getAnimations().filter(a => a instanceof CSSTransition).forEach(a => a.finish()); undefined`))
		found := value[[]struct{ ID, Help, HTML, Summary string }](p, `axe.run(document, `+options+`).then(result => result.violations.flatMap(v =>
			v.nodes.map(n => ({id: v.id, help: v.help, html: n.html.slice(0, 200), summary: n.failureSummary}))))`)
		for _, barrier := range found {
			if key := theme + barrier.ID + barrier.HTML; !seen[key] {
				seen[key] = true
				p.t.Errorf("%s (%s): %s: %s: %s\n%s", what, theme, barrier.ID, barrier.Help, barrier.HTML, barrier.Summary)
			}
		}
	}
	p.prefersDark(false)
}

func TestNothingScrollsSideways(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.expect("the server responded with a status of 4")
	everyPage := append(pages(p), "/login")
	for _, width := range []int64{360, 1000, 1440} {
		p.size(width, 800)
		for _, path := range everyPage {
			p.visit(path)
			p.fits(t, fmt.Sprintf("%s at %d px", path, width))
		}
		p.visit(logs)
		p.click(`#entries [data-entry-id] td[data-col=entity_type]`)
		p.waitFor("the details", `document.querySelector(".entry-detail")`)
		p.fits(t, fmt.Sprintf("an open row at %d px", width))
		p.visit(fullLog)
		p.openAll()
		p.fits(t, fmt.Sprintf("rows that say everything at %d px", width))
	}
}

func (p *page) fits(t *testing.T, what string) {
	t.Helper()
	over := value[struct {
		Width, Window int
		Widest        string
	}](p, `(() => {
		const root = document.scrollingElement;
		const beyond = [...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".entry-scroll"));
		return {width: root.scrollWidth, window: root.clientWidth, widest: beyond.map(e => e.tagName + "." + e.className).slice(0, 5).join(", ")};
	})()`)
	if over.Width > over.Window {
		t.Errorf("%s scrolls sideways: %d px in %d (%s)", what, over.Width, over.Window, over.Widest)
	}
}

// The first visit of the log costs at most 60 kB, all from this host.
func TestTheFirstVisitIsSmall(t *testing.T) {
	const most = 60_000
	p := signedIn(t, serveDemo(t), "member@example.com")
	call(p, network.ClearBrowserCache, struct{}{})
	p.do(chromedp.Navigate("about:blank"))
	p.measure()
	p.visit(logs)
	p.waitFor("the log", `document.querySelectorAll("[data-entry-id]").length === 50`)
	p.waitUntilQuiet()
	requests, bytes := p.measure()
	t.Logf("%d bytes in %d requests: %v", bytes, len(requests), requests)
	if bytes > most {
		t.Errorf("the first visit takes %d bytes, want at most %d", bytes, most)
	}
	if bytes < 5_000 {
		t.Errorf("the first visit takes %d bytes: was it measured?", bytes)
	}
}
