package browsertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/handlers/live"
)

const failures = logs + "?outcome=failure"

// record stores an entry that the filter of failures lets through.
func (p *page) record(name string) {
	p.t.Helper()
	err := p.server.Store.Transaction(p.t.Context(), func(tx *gorm.DB) error {
		_, err := audit.Record(p.t.Context(), tx, audit.Event{Organization: "northwind", Action: action.DeploymentCreate, EntityID: name,
			Outcome: audit.OutcomeFailure, Actor: audit.System("test")})
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.server.Clock.Advance(time.Second)
}

// streams is how many follow the log.
func (p *page) streams() string { return p.server.Metric("auditlogs_live_streams") }

func (p *page) waitForStreams(want string) {
	p.t.Helper()
	for end := time.Now().Add(patience); p.streams() != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s streams, want %s", p.streams(), want)
		}
	}
}

func (p *page) first(name string) string {
	return fmt.Sprintf(`document.querySelector("#entries [data-col=entity_id] code")?.textContent === %q`, name)
}

func TestNewEntriesAreCountedAndMoveNothing(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	for _, width := range []int64{1440, 390} {
		p.size(width, 900)
		p.visit(failures)
		top := value[float64](p, `document.querySelector("#entries table").getBoundingClientRect().top`)
		p.record("new-1")
		p.record("new-2")
		p.do(chromedp.Evaluate[chromedp.Void](`htmx.ajax("GET", document.querySelector("#new").getAttribute("hx-get"), {source: "#new", target: "#new", swap: "innerMorph"}); undefined`))
		p.waitFor("the number", `document.querySelector("#new")?.textContent.trim() === "2 new entries"`)
		if now := value[float64](p, `document.querySelector("#entries table").getBoundingClientRect().top`); now != top {
			t.Errorf("at %d px the rows moved from %v to %v", width, top, now)
		}
		barriers{}.look(p, "new entries", "light and dark")
		p.fits(t, "new entries")
		p.click(`#new a`)
		p.waitFor("the new entries", p.first("new-2")+` && !document.querySelector("#new a")`)
	}
}

func TestLiveFollowsTheLog(t *testing.T) {
	p := signedIn(t, serveDemo(t, func(c *app.Config) {
		c.LivePace = &handlers.Pace{Life: 2 * time.Second, Beat: 100 * time.Millisecond, Patience: time.Minute, Again: time.Second}
	}), "member@example.com")
	p.visit(failures)
	rows := len(p.ids())
	p.record("before")
	p.click(`[data-live]`)
	p.waitFor("what came before", p.first("before"))
	p.waitForStreams("1")

	for i := range 8 { // over some reconnections
		name := fmt.Sprint("live-", i)
		p.record(name)
		p.waitFor(name, p.first(name))
		time.Sleep(300 * time.Millisecond)
	}
	p.waitFor("the number", `document.querySelector("#new").textContent === "8 new entries"`)
	ids := p.ids()
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(seen) != len(ids) || len(ids) < min(rows+8, 50) {
		t.Errorf("%d rows of %d entries, %d before", len(ids), len(seen), rows)
	}
	barriers{}.look(p, "following", "light and dark")
	for _, width := range []int64{360, 1440} {
		p.size(width, 800)
		p.fits(t, "following")
	}

	// While an entry is open nothing moves, and it says so.
	p.click(`#entries [data-entry-id] td[data-col=entity_type]`)
	p.waitFor("a pause", `document.querySelector(".entry-detail") && document.querySelector("#new").textContent.startsWith("Paused")`)
	p.waitForStreams("0")
	p.record("while-open")
	p.click(`#entries [data-entry-id] td[data-col=entity_type]`)
	p.waitFor("what came meanwhile", p.first("while-open"))
	p.waitForStreams("1")

	// Nobody sees it.
	hide := func(hidden string) {
		p.do(chromedp.Evaluate[chromedp.Void](`Object.defineProperty(document, "hidden", {value: ` + hidden + `, configurable: true}); document.dispatchEvent(new Event("visibilitychange")); undefined`))
	}
	hide("true")
	p.waitForStreams("0")
	p.record("while-hidden")
	p.measure()
	time.Sleep(500 * time.Millisecond)
	if requests, _ := p.measure(); len(requests) > 0 {
		t.Errorf("a hidden page asks for %q", requests)
	}
	hide("false")
	p.waitFor("what came meanwhile", p.first("while-hidden"))

	// It goes with the filter, to the first page only.
	p.click(`.chip[data-name=outcome] .chip-remove`)
	p.waitFor("all entries", `!location.search && document.querySelector("[data-live]")?.checked`)
	p.record("unfiltered")
	p.waitFor("the new entry", p.first("unfiltered"))
	p.click(`.pages [rel=next]`)
	p.waitFor("the next page", `location.search.includes("cursor") && !document.querySelector("[data-live]")`)
	p.waitForStreams("0")
}

func TestLiveThatIsRefusedFallsBackToCounting(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.expect("EventSource's response")
	p.visit(logs)
	p.endSessions()
	p.click(`[data-live]`)
	p.waitFor("a word", `document.querySelector("#new").textContent === "Stopped" && !document.querySelector("[data-live]").checked`)
}

// Whoever is refused because others follow is told so, and follows once they have left.
func TestLiveThatIsRefusedTriesAgain(t *testing.T) {
	server := serveDemo(t, func(c *app.Config) {
		c.LiveBounds = &live.Bounds{All: 1, Organization: 1, Person: 1, Questions: 1, OrganizationQuestions: 1}
		c.LivePace = &handlers.Pace{Life: time.Minute, Beat: 100 * time.Millisecond, Patience: time.Minute, Again: time.Second}
	})
	other := server.Client(t)
	other.SignIn("admin@example.com", "audit-demo")
	stream := other.Stream(logs + "/live")
	p := signedIn(t, server, "member@example.com")
	p.expect("503")
	p.waitForStreams("1")
	p.visit(failures)
	p.click(`[data-live]`)
	busy := `document.querySelector("#new").textContent.startsWith("Busy, trying again in ") && document.querySelector("[data-live]").checked`
	p.waitFor("what it does", busy)
	p.waitFor("another try, later", busy+` && !document.querySelector("#new").textContent.endsWith(" 1 s")`)
	barriers{}.look(p, "refused", "light and dark")
	for _, width := range []int64{360, 1440} {
		p.size(width, 800)
		p.fits(t, "refused")
	}
	p.click(`[data-live]`)
	p.waitFor("nothing", `!document.querySelector("#new").textContent`)
	p.click(`[data-live]`)
	p.waitFor("what it does", busy)
	p.record("meanwhile")
	stream.End()
	p.waitFor("what came meanwhile", p.first("meanwhile")+` && !document.querySelector("#new").textContent.startsWith("Busy")`)
	p.record("after")
	p.waitFor("what comes after", p.first("after"))
}
