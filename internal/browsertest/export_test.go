package browsertest

import (
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// exports is how many have been recorded.
func (p *page) exports() (n int) {
	p.t.Helper()
	err := p.server.Store.Reader(p.t.Context()).Raw("SELECT COUNT(*) FROM audit_entries WHERE action = ?", action.AuditLogExport).Scan(&n).Error
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// An export is saved where there is one, and where the session has ended the sign-in page is shown.
func TestAnExportAfterTheSessionEnded(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	before := p.exports()
	p.visit(logs + "?entity_type=service&q=rate-engine")
	p.click("#export summary")
	p.click("#export a[href*='format=csv']")
	p.waitFor("the log, which stays", `location.pathname === "`+logs+`"`)
	for deadline := time.Now().Add(patience); p.exports() == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no export is recorded")
		}
	}
	p.endSessions()
	p.click("#export a[href*='format=csv']")
	p.waitFor("the sign-in page", `location.pathname === "/login" && document.readyState === "complete"`)
	p.signIn("member@example.com")
	p.waitForQuery("q", "rate-engine")
	p.waitForQuery("entity_type", "service")
	if n := p.exports(); n != before+1 {
		t.Errorf("%d exports are recorded, want the one before", n-before)
	}
}
