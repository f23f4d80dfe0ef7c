package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	changing "github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// retentionDays is what the database says.
func (p *page) retentionDays() int {
	p.t.Helper()
	org := logtest.FindOrganization(p.t, p.server.Store, "northwind")
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
	org := logtest.FindOrganization(t, p.server.Store, "northwind")
	border := models.MicrosOf(p.server.Store.Now().AddDate(0, 0, -30))
	expiring, err := entries.NewLog(p.server.Store).CountBefore(t.Context(), org, border, 10_001)
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

// somebodyElseSets changes retention, with a grace of a day, as another admin.
func (p *page) somebodyElseSets(days int) {
	p.t.Helper()
	org := logtest.FindOrganization(p.t, p.server.Store, "northwind")
	ctx := audit.WithActor(p.t.Context(), audit.Actor{ID: "usr_olivia", Name: "Olivia Chen"})
	err := p.server.Store.Transaction(ctx, func(tx *gorm.DB) error {
		_, _, err := changing.Change(ctx, tx, org.ID, models.AuditSettings{RetentionDays: days, LoggingEnabled: true}, 24*time.Hour, p.server.Clock.Now())
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestUndoALoweredRetention(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	for _, step := range []struct {
		page    string
		scripts bool
	}{{logs, true}, {settings, true}, {logs, false}} {
		p.somebodyElseSets(30)
		call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !step.scripts})
		p.visit(step.page)
		if said := strings.Join(p.texts("[data-pending-retention]"), ""); !strings.Contains(said, "30 days instead of 90") || !strings.Contains(said, "Olivia Chen") {
			t.Errorf("%s says %q", step.page, said)
		}
		if step.scripts {
			barriers{}.look(p, step.page+" with a lowered retention", "light and dark")
			p.fits(t, step.page)
		}
		p.do(chromedp.Focus(`[data-pending-retention] button`))
		p.press(kb.Enter)
		p.waitFor("what was undone", `document.querySelector(".banner.success")?.textContent.startsWith("Undone")`)
		if p.retentionDays() != 90 || len(p.texts("[data-pending-retention]")) != 0 {
			t.Error("it was not undone")
		}
	}
}

func TestASaveThatWouldUndoAnothersIsSaidInPlace(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.expect("the server responded with a status of 409")
	p.visit(settings)
	p.somebodyElseSets(120)
	p.fill(`input[name=retention_days]`, "200")
	p.press(kb.Enter)
	p.waitFor("the conflict", `document.activeElement.matches("#audit-form [data-conflict]")`)
	if said := p.texts("[data-conflict]")[0]; !strings.Contains(said, "The retention period is now 120 days, changed by Olivia Chen") {
		t.Errorf("it says %q", said)
	}
	barriers{}.look(p, "a conflict", "light and dark")
	if typed := value[string](p, `document.querySelector("[name=retention_days]").value`); typed != "200" || p.retentionDays() != 120 {
		t.Errorf("the field holds %q, and %d days are in force", typed, p.retentionDays())
	}
	p.click(`#audit-form button.primary`)
	p.waitFor("what was saved", `document.querySelector("#audit-form .banner.success")`)
	if p.retentionDays() != 200 {
		t.Errorf("%d days are in force", p.retentionDays())
	}

	// The same where the form is a whole page.
	rename := func(name string) {
		if err := p.server.Store.Writer(t.Context()).Exec("UPDATE audit_organizations SET name = ? WHERE slug = 'northwind'", name).Error; err != nil {
			t.Fatal(err)
		}
	}
	p.visit(settings)
	rename("Northwind Ltd.")
	p.fill(`#general [name=name]`, "Mine")
	p.click(`#general button`)
	p.waitFor("the conflict", `document.querySelector("#general [data-conflict]")`)
	if said := p.texts("[data-conflict]")[0]; !strings.Contains(said, "The name is now Northwind Ltd.") {
		t.Errorf("it says %q", said)
	}
	p.click(`#general button`)
	p.waitFor("what was saved", `document.querySelector(".banner.success")?.textContent.includes("now called Mine")`)
}
