package browsertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"
)

// Everything works without JavaScript: with links, forms and whole pages.
func TestWithoutScript(t *testing.T) {
	p := open(t, serveDemo(t))
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.visit("/login")
	p.signIn("admin@example.com")
	if rows := p.ids(); len(rows) != 50 {
		t.Fatalf("%d rows", len(rows))
	}

	p.fill(`input[name=q]`, "rate-engine")
	p.press(kb.Enter)
	p.waitFor("the answer", `new URLSearchParams(location.search).get("q") === "rate-engine" && document.readyState === "complete"`)
	for i, row := range p.texts(`#entries tbody[data-entry-id] tr`) {
		if !strings.Contains(row, "rate-engine") {
			t.Errorf("row %d does not match: %s", i, row)
		}
	}

	p.visit(logs)
	p.click(`details[data-options=action] summary`)
	p.click(`details[data-options=action] label:has(input[value="service:update"])`)
	p.click(`details[data-options=action] button[type=submit]`)
	p.waitFor("the filter", `new URLSearchParams(location.search).getAll("action").includes("service:update") && document.readyState === "complete"`)
	if actions := slices.Compact(p.column("action")); !slices.Equal(actions, []string{"service:update"}) {
		t.Errorf("actions: %v", actions)
	}

	p.click(`#entries thead th[data-col=user] a`)
	p.waitFor("the order", `new URLSearchParams(location.search).get("sort") === "user" && document.readyState === "complete"`)
	first := p.ids()
	p.click(`nav.pages a[rel=next]`)
	p.waitFor("the next page", `new URLSearchParams(location.search).has("cursor") && document.readyState === "complete"`)
	if slices.Contains(p.ids(), first[0]) {
		t.Error("the next page repeats the first")
	}

	p.click(`#entries [data-entry-id] th[data-col=action] a`)
	p.waitFor("the entry's page", `/audit-logs\/[0-9a-f-]{36}$/.test(location.pathname) && document.readyState === "complete"`)
	if text := strings.Join(p.texts("main"), ""); !strings.Contains(text, "View resource") {
		t.Errorf("the entry's page: %s", text)
	}

	p.visit(settings)
	p.fill(`input[name=retention_days]`, "45")
	p.press(kb.Enter)
	p.waitFor("the question", `document.querySelector("input[name=confirm][value=yes]")`)
	p.click(`form:has(input[name=confirm][value=yes]) button[type=submit]`)
	p.waitFor("the settings", `document.querySelector("[name=retention_days]")?.value === "45" && !document.querySelector("input[name=confirm][value=yes]")`)
	if days := p.retentionDays(); days != 45 {
		t.Errorf("retention is %d days, want 45", days)
	}

	// Signing out ends it.
	p.click(`form[action="/logout"] button`)
	p.waitFor("the sign-in page", `location.pathname === "/login"`)
	p.visit(logs)
	p.waitFor("the sign-in page", `location.pathname === "/login"`)
}
