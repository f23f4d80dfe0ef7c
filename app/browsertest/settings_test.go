package browsertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/auditlogs/auditlogs/models"
)

// retentionDays is what the database says.
func (p *page) retentionDays() int {
	p.t.Helper()
	org, err := p.server.Store.OrganizationBySlug(p.t.Context(), "northwind")
	if err != nil {
		p.t.Fatal(err)
	}
	return org.RetentionDays
}

// The steps of "Retention Settings".
func TestChangeRetention(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.visit(settings)
	if !strings.Contains(strings.Join(p.texts("h2"), "\n"), "Audit Log Configuration") {
		t.Fatalf("sections: %v", p.texts("h2"))
	}

	// A value that cannot be keeps standing, with the reason beside it.
	p.fill(`input[name=retention_days]`, "366")
	p.press(kb.Enter)
	p.expect("422")
	p.waitFor("the reason", `document.querySelector("[name=retention_days]").getAttribute("aria-invalid") === "true"`)
	if kept := value[string](p, `document.querySelector("[name=retention_days]").value`); kept != "366" {
		t.Errorf("the field holds %q after a refusal", kept)
	}

	// Lowering asks first, and says how many entries go.
	org, err := p.server.Store.OrganizationBySlug(t.Context(), "northwind")
	if err != nil {
		t.Fatal(err)
	}
	border := models.MicrosOf(p.server.Store.Now().AddDate(0, 0, -30))
	expiring, err := p.server.Store.CountEntriesBefore(t.Context(), org, border, 10_001)
	if err != nil {
		t.Fatal(err)
	}
	p.fill(`input[name=retention_days]`, "30")
	p.press(kb.Enter)
	p.waitFor("the question", `document.querySelector("input[name=confirm][value=yes]")`)
	question := strings.Join(p.texts("#audit-log-configuration"), "")
	if count := fmt.Sprintf("%d,%03d", expiring/1000, expiring%1000); !strings.Contains(question, count) {
		t.Errorf("the question does not say %s: %s", count, question)
	}
	if days := p.retentionDays(); days != 90 {
		t.Fatalf("the question changed the retention to %d", days)
	}
	p.click(`form:has(input[name=confirm][value=yes]) button[type=submit]`)
	p.waitFor("the saved settings", `document.querySelector("[name=retention_days]")?.value === "30" && !document.querySelector("input[name=confirm][value=yes]")`)
	if days := p.retentionDays(); days != 30 {
		t.Errorf("retention is %d days, want 30", days)
	}

	// The change is an entry with before and after; what expired is gone at once.
	p.visit(logs + "?action=organization:audit_config_update")
	p.click(`#entries [data-entry-id] td[data-col=entity_type]`)
	p.waitFor("before and after", `[...document.querySelectorAll(".entry-detail table tr")].some(row => /retention/.test(row.textContent) && /90/.test(row.textContent) && /30/.test(row.textContent))`)
	p.visit(logs + "?dir=asc")
	oldest := value[string](p, `document.querySelector("[data-entry-id] time").getAttribute("datetime")`)
	if want := border.Time().Format("2006-01-02"); oldest < want {
		t.Errorf("the oldest entry is of %s, want nothing before %s", oldest, want)
	}
}

func TestSwitchLoggingOff(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.visit(settings)
	p.click(`input[name=enabled]`)
	p.click(`#audit-log-configuration form button.primary`)
	p.waitFor("the question", `document.querySelector("input[name=confirm][value=yes]")`)
	p.click(`form:has(input[name=confirm][value=yes]) button[type=submit]`)
	p.waitFor("the saved settings", `document.querySelector("input[name=enabled]")?.checked === false`)
	p.visit(logs)
	if text := strings.Join(p.texts("main"), ""); !strings.Contains(text, "Audit logging has been off since") {
		t.Error("the log does not say since when logging is off")
	}
}

func TestAMemberSeesSettingsWithoutControls(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.visit(settings)
	if controls := value[int](p, `document.querySelectorAll("main input:not([type=hidden]), main button").length`); controls != 0 {
		t.Errorf("a member sees %d controls", controls)
	}
	if text := strings.Join(p.texts("main"), ""); !strings.Contains(text, "90 days") {
		t.Error("a member does not see the retention")
	}
}
