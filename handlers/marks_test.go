package handlers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// record records events as an application does, a minute apart, the first one latest, and returns the IDs of
// their entries.
func (d *logFixture) record(events ...audit.Event) (ids []string) {
	d.t.Helper()
	for i, event := range events {
		if event.Action == "" && event.NativeAction == "" {
			event.Action, event.EntityID = "service:update", "srv_1"
		}
		event.Organization, event.OccurredAt = d.org.Slug, d.ago(time.Duration(i+1)*time.Minute).Time()
		receipt, err := audit.Record(d.t.Context(), d.store.Writer(d.t.Context()), event)
		if err != nil {
			d.t.Fatal(err)
		}
		ids = append(ids, receipt.EntryID)
	}
	return ids
}

var ada = audit.Actor{ID: "usr_1", Name: "Ada Lovelace", Email: "ada@example.com"}

func TestOutcomesAreMarkedInAWord(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.record(
			audit.Event{Action: "service:update", EntityID: "s", Actor: ada},
			audit.Event{Action: "service:update", EntityID: "s", Actor: ada, Outcome: audit.OutcomeSuccess},
			audit.Event{Action: "service:update", EntityID: "s", Actor: ada, Outcome: audit.OutcomeFailure, Reason: "out of <memory>"},
			audit.Event{Action: "service:update", EntityID: "s", Actor: ada, Outcome: audit.OutcomeDenied},
		)
		for _, path := range []string{logPath, historyPath(d.org, "service", "s")} {
			cells := d.page(path).Find("[data-entry-id] [data-col=action]").Map(func(_ int, cell *goquery.Selection) string {
				value := cell.Find("[data-value]")
				if value.Length() == 0 {
					return cell.Text()
				}
				return value.Text() + "|" + cell.Find(".outcome").Text() + "|" + value.Find(".outcome").Text()
			})
			if want := []string{"service:update", "service:update", "service:update|failed|", "service:update|denied|"}; !slices.Equal(cells, want) {
				t.Errorf("%s: the actions are %q, want %q", path, cells, want)
			}
		}
	})
}

func TestActorsAreToldApartByTheirType(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		adas := &audit.Principal{ID: ada.ID, Name: ada.Name, Email: ada.Email, Session: "ses_1"}
		ids := d.record(
			audit.Event{Actor: audit.Actor{Type: audit.ActorAgent, ID: "agt_1", Name: "Deploy bot", OnBehalfOf: adas}},
			audit.Event{Actor: audit.Actor{ID: "usr_2", Name: "Deploy bot for Ada Lovelace"}},
			audit.Event{Actor: audit.Actor{Type: audit.ActorService, ID: "svc_1", Name: "CI"}},
			audit.Event{Actor: audit.Actor{Type: audit.ActorAgent, ID: "agt_2", Name: "Ops", OnBehalfOf: &audit.Principal{Type: audit.ActorService, ID: "svc_1", Name: "CI"}}},
			audit.Event{Actor: audit.Anonymous()},
			audit.Event{Actor: audit.Actor{ID: "usr_3", Name: "Anonymous", Email: "a@example.com"}},
			audit.Event{Actor: audit.System("cron")},
			audit.Event{Actor: ada},
			audit.Event{Actor: audit.Actor{Type: audit.ActorAgent, ID: "agt_3", Name: "Ops 2", OnBehalfOf: &audit.Principal{ID: "usr_9", Name: "ada lovelace", Email: "other@example.com"}}},
		)
		page := d.page(logPath)
		rows := page.Find("[data-entry-id] [data-col=user]").Map(func(_ int, cell *goquery.Selection) string {
			value := cell.Find("[data-value]")
			if value.Length() == 0 {
				return cell.Text()
			}
			if value.Find(".kind, .for").Length() > 0 {
				return "a mark within the value"
			}
			return value.Text() + "|" + text(cell.Find(".who > .kind")) + "|" + text(cell.Find(".who-note")) + "|" + text(cell.Find(".for"))
		})
		want := []string{
			"Deploy bot|agent||for Ada Lovelace ada@example.com", "Deploy bot for Ada Lovelace", "CI|service||", "Ops|agent||for CI service",
			"anonymous|not signed in||", "Anonymous||usr_3|", "system|automated||", "Ada Lovelace||ada@example.com|",
			"Ops 2|agent||for ada lovelace other@example.com",
		}
		if !slices.Equal(rows, want) {
			t.Errorf("the users are\n%q, want\n%q", rows, want)
		}
		if page.Find(".kind").Length() != page.Find(".kind svg").Length() {
			t.Error("a mark is without its picture")
		}
		for i, want := range map[int]string{0: "by Deploy bot agent for Ada Lovelace", 1: "by Deploy bot for Ada Lovelace", 2: "by CI service", 4: "by anonymous not signed in", 5: "by Anonymous usr_3"} {
			if head := text(d.page(logPath + "/" + ids[i]).Find(".page-head p")); !strings.HasSuffix(head, want) {
				t.Errorf("the entry's head says %q, want %q at its end", head, want)
			}
		}
		menu := page.Find("#actor-options .option-text").Map(func(_ int, s *goquery.Selection) string { return text(s) })
		for _, want := range []string{"system automated", "Deploy bot agent", "CI service", "anonymous not signed in", "Anonymous usr_3", "Ops agent"} {
			if !slices.Contains(menu, want) {
				t.Errorf("the menu offers %q, and not %q", menu, want)
			}
		}
	})
}

func TestWhatAffectedNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		id := d.record(audit.Event{Action: "session:list", Actor: ada})[0]
		cell := d.page(logPath).Find("[data-entry-id] [data-col=entity_id]")
		value := cell.Find("code[data-value]")
		if value.Length() != 1 || value.Text() != "" || cell.Find("button").Length() != 0 ||
			cell.Find("[aria-hidden=true]").Text() != "—" || cell.Find(".visually-hidden").Text() != "nothing affected" {
			t.Errorf("the cell says %q, its value %q", cell.Text(), value.Text())
		}
		entry := d.page(logPath + "/" + id)
		if head := text(entry.Find(".page-head p")); head != "session, by Ada Lovelace" {
			t.Errorf("the entry's head says %q", head)
		}
		if fact := text(entry.Find("dt:contains('Entity ID') + dd")); fact != "none: nothing was affected" {
			t.Errorf("the entity ID reads %q", fact)
		}
		if links := text(entry.Find(".entry-links")); strings.Contains(links, "resource") || strings.Contains(links, "History") {
			t.Errorf("the links are %q", links)
		}
	})
}

func TestDetailsOfWhatFewEntriesSay(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		full := audit.Event{
			NativeAction: "ec2:RunInstances", EntityType: "instance", EntityID: "i-1", EntityName: "worker",
			Outcome: audit.OutcomeDenied, Reason: "no \u202epermission",
			Related: []audit.Resource{{Type: "subnet", ID: "sn 1/&", Name: "Internal", Role: "network"}, {Type: "image", ID: "ami-1"}},
			Actor: audit.Actor{Type: audit.ActorService, ID: "role-1", Name: "provisioner",
				OnBehalfOf: &audit.Principal{ID: ada.ID, Name: ada.Name, Email: ada.Email, Session: "laptop"}},
			Metadata: map[string]any{"password": "a", "api_key": "b", "zone": "eu", "token": map[string]any{"x": "c"}},
		}
		ids := d.record(full, audit.Event{Action: "service:update", EntityID: "s", Actor: ada})
		if row := d.page(logPath).Find(`[data-entry-id="` + ids[0] + `"]`); strings.Contains(row.Text(), full.NativeAction) || row.Find("[data-col=action] [data-value]").Text() != "ec2:run_instances" {
			t.Errorf("the row reads %q", text(row))
		}
		for _, headers := range [][]string{nil, fragment} {
			page := d.page(logPath+"/"+ids[0], headers...)
			for selector, want := range map[string]string{
				"[data-outcome]":              "denied no ⟨U+202E⟩permission",
				"[data-native-action]":        full.NativeAction,
				"dt:contains(User) + dd":      "provisioner service role-1",
				"[data-on-behalf-of]":         "Ada Lovelace ada@example.com usr_1 session laptop",
				"[data-related]:first-child":  "network · Internal subnet sn 1/&",
				"[data-related]:nth-child(2)": "ami-1 image",
				"[data-masked]":               "3 values",
			} {
				if got := text(page.Find(selector)); got != want {
					t.Errorf("%s reads %q, want %q", selector, got, want)
				}
			}
			for selector, name := range map[string]string{"[data-native-action] a": full.NativeAction, "dt:contains(Action) + dd a": "ec2:run_instances"} {
				to := page.Find(selector).First().AttrOr("href", "")
				if to != logPath+"?action="+name || !slices.Equal(rowsOf(d.page(to)), ids[:1]) {
					t.Errorf("%s leads to %q, and the entries %v", name, to, rowsOf(d.page(to)))
				}
			}
			if to := page.Find("[data-related] a").AttrOr("href", ""); to != historyPath(d.org, "subnet", "sn 1/&") {
				t.Errorf("a related resource leads to %s", to)
			}
			if to := page.Find("[data-on-behalf-of] a").AttrOr("href", ""); to != actorPath(d.org, "usr_1") {
				t.Errorf("the one for whom it was done leads to %s", to)
			}
			plain := d.page(logPath+"/"+ids[1], headers...)
			if n := plain.Find("[data-outcome], [data-native-action], [data-on-behalf-of], [data-related], [data-masked], .outcome").Length(); n != 0 {
				t.Errorf("an entry that says none of it shows %d of it", n)
			}
		}
	})
}

// Where the address would take a native action for something else, it leads nowhere.
func TestANativeActionThatTheAddressCannotSay(t *testing.T) {
	for native, want := range map[string]string{
		"2FA enabled/re&set": "/orgs/acme/settings/audit-logs?action=2FA+enabled/re%26set",
		"invoice:deleted":    "", "invoice:*": "", "": "",
	} {
		entry := sampleEntry()
		entry.NativeAction = native
		view := viewEntry("", models.Organization{Slug: "acme"}, entry, nil, wholeLog(time.UTC), time.UTC)
		got := ""
		if way := view.Ways["native"]; way != nil {
			got = way.Only
		}
		if got != want {
			t.Errorf("%q leads to %q, want %q", native, got, want)
		}
	}
}

// What another system calls as the app calls one of its own actions says where it comes from in its row, also
// among many that were imported together, and once they were restored from an export.
func TestABorrowedActionOfTheAppSaysSoInItsRow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		entry := func(minutes int, action string, origin models.Origin, original models.Original) models.Entry {
			return models.Entry{OccurredAt: d.ago(time.Duration(minutes) * time.Minute), RecordedAt: models.MicrosOf(d.now), Action: action,
				Origin: origin, Original: original.Text()}
		}
		imported := func(minutes int, action string) models.Entry {
			return entry(minutes, action, models.OriginImport, models.Original{})
		}
		restored := func(minutes int, action string, original models.Origin) models.Entry {
			return entry(minutes, action, models.OriginRestore, models.Original{Origin: original})
		}
		entries := d.insert(d.org, imported(1, "repo:create"), imported(2, "member:remove"), imported(3, "repo:delete"),
			restored(4, "repo:create", models.OriginImport), restored(5, "member:remove", models.OriginImport), restored(6, "member:remove", models.OriginHere),
			models.Entry{OccurredAt: d.ago(7 * time.Minute), Action: "member:remove"},
			models.Entry{OccurredAt: d.ago(8 * time.Minute), Action: "member:remove", NativeAction: "Member.Remove"},
			models.Entry{OccurredAt: d.ago(5 * time.Hour), RecordedAt: models.MicrosOf(d.now), Action: "member:remove", NativeAction: "Member.Remove"})
		page := d.page(logPath)
		if page.Find(".together").Length() != 2 {
			t.Fatal("the two threes did not come together")
		}
		for i, want := range []string{"", "imported", "", "", "imported", "", "", "of another system", "of another system"} {
			if got := page.Find(`[data-entry-id="` + entries[i].ID.String() + `"] .late`).Text(); got != want {
				t.Errorf("%s is marked %q, want %q", entries[i].Action, got, want)
			}
			fact := text(d.page(logPath + "/" + entries[i].ID.String()).Find("dt:contains(Action) + dd"))
			if said := strings.Contains(fact, "another system"); said != (want != "") {
				t.Errorf("of the action the entry says %q", fact)
			}
		}
	})
}
