package handlers

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// userCells are the cells of the User column: "value|mark|note".
func userCells(page *goquery.Document) []string {
	return page.Find(`tbody[data-entry-id] tr:first-child [data-col=user]`).Map(func(_ int, cell *goquery.Selection) string {
		value := cell.Find("[data-value]")
		if value.Length() == 0 {
			value = cell
		}
		if value.Find(".kind, .who-note").Length() > 0 && value != cell {
			return "a mark within the value"
		}
		return value.Text() + "|" + cell.Find(".automated").Text() + "|" + cell.Find(".who-note").Text()
	})
}

func TestAutomationIsMarkedAndNobodyElseLooksLikeIt(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		entries := d.insert(d.org,
			models.Entry{OccurredAt: d.ago(time.Minute), ActorID: "system", ActorName: "system", Source: "cron"},
			models.Entry{OccurredAt: d.ago(2 * time.Minute), ActorID: "usr_9", ActorName: "System", ActorEmail: "root@example.com"},
			models.Entry{OccurredAt: d.ago(3 * time.Minute), ActorID: "usr_8", ActorName: "ѕystem\u200b"},
			models.Entry{OccurredAt: d.ago(4 * time.Minute), ActorID: "usr_1", ActorName: "Ada"},
		)
		want := []string{"system|automated|", "System||usr_9", "ѕystem⟨U+200B⟩||usr_8", "Ada||"}
		for _, path := range []string{logPath, historyPath(d.org, "service", "srv_1")} {
			page := d.page(path)
			if got := userCells(page); !slices.Equal(got, want) {
				t.Errorf("%s: the users are %q, want %q", path, got, want)
			}
			if icon := page.Find(".automated svg use").AttrOr("href", ""); !strings.HasSuffix(icon, "#bot") {
				t.Errorf("%s: the mark of automation has the icon %q", path, icon)
			}
		}
		for i, want := range []string{"by system automated", "by System usr_9", "by ѕystem⟨U+200B⟩ usr_8", "by Ada"} {
			page := d.page(logPath + "/" + entries[i].ID.String())
			if head := text(page.Find(".page-head p")); !strings.HasSuffix(head, want) {
				t.Errorf("the entry's head says %q, want %q at its end", head, want)
			}
			facts := text(page.Find("dt:contains(User) + dd"))
			if automated := strings.Contains(facts, "automated"); automated != (i == 0) {
				t.Errorf("of who did it the entry says %q", facts)
			}
		}
		chips := d.page(logPath + "?actor=usr_9&actor=system").Find(".chip-value").Map(func(_ int, s *goquery.Selection) string { return s.Text() })
		if !slices.Equal(chips, []string{"System (usr_9)", "system"}) && !slices.Equal(chips, []string{"system", "System (usr_9)"}) {
			t.Errorf("the filters read %q", chips)
		}
	})
}

func TestNamesakesAreToldApart(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(1 * time.Minute), ActorID: "usr_1", ActorName: "Ada Lovelace", ActorEmail: "ada@example.com"},
			models.Entry{OccurredAt: d.ago(2 * time.Minute), ActorID: "usr_2", ActorName: "ada\u200b lovelace", ActorEmail: "a.l@example.org"},
			models.Entry{OccurredAt: d.ago(3 * time.Minute), ActorID: "usr_1", ActorName: "Ada Lovelace", ActorEmail: "ada@example.com"},
			models.Entry{OccurredAt: d.ago(4 * time.Minute), ActorID: "usr_3", ActorName: "Аdа Lovelace"}, // with Cyrillic letters
			models.Entry{OccurredAt: d.ago(5 * time.Minute), ActorID: "usr_4", ActorName: "Grace Hopper", ActorEmail: "grace@example.com"},
		)
		want := []string{"Ada Lovelace||ada@example.com", "ada⟨U+200B⟩ lovelace||a.l@example.org", "Ada Lovelace||ada@example.com", "Аdа Lovelace||usr_3", "Grace Hopper||"}
		if got := userCells(d.page(logPath)); !slices.Equal(got, want) {
			t.Errorf("the users are %q, want %q", got, want)
		}

		// Sorted by user, what stands under a heading is one actor's.
		for _, order := range []string{"&dir=asc", ""} {
			page := d.page(logPath + "?sort=user" + order)
			heading, under := "", map[string]string{}
			page.Find("#entries tbody").Each(func(_ int, body *goquery.Selection) {
				if !body.Is("[data-entry-id]") {
					heading = text(body.Find(".between-line > span")) + " " + text(body.Find(".between-note"))
					return
				}
				user := body.Find("[data-col=user]")
				value := strings.TrimSpace(user.Find("[data-value]").Text() + " " + user.Find(".who-note").Text())
				if value == "" {
					value = text(user)
				}
				if strings.TrimSpace(heading) != value {
					t.Errorf("%s: under %q stands an entry of %q", order, heading, value)
				}
				under[heading] = value
			})
			if len(under) != 4 {
				t.Errorf("%s: the headings are %q, want four", order, under)
			}
			last := page.Find(".between").FilterFunction(func(_ int, s *goquery.Selection) bool { return strings.Contains(s.Text(), "Next value") })
			if n := last.Length(); n < 3 {
				t.Errorf("%s: %d headings lead on", order, n)
			}
		}
		only := d.page(logPath + "?actor=usr_1")
		if got := userCells(only)[0]; got != "Ada Lovelace||" {
			t.Errorf("alone on a page Ada is %q", got)
		}
	})
}

func TestWhatIsCutInARow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		arn := "arn:aws:iam::123456789012:role/service-role/ClusterAutoscaler"
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(1 * time.Minute), EntityID: arn, EntityName: "Autoscaler of the production cluster", ActorName: "Maximiliane Charlotte von Hohenzollern", Action: "notification_channel:update"},
			models.Entry{OccurredAt: d.ago(2 * time.Minute), EntityID: "svc_1", EntityName: "svc_1", Action: "cluster:restart_all_of_the_pods_in_the_namespace"},
			models.Entry{OccurredAt: d.ago(3 * time.Minute), EntityID: "svc_2", EntityName: "שירות התשלומים הראשי"},
		)
		rows := d.page(logPath).Find("tbody[data-entry-id]")
		long, equal, hebrew := rows.Eq(0), rows.Eq(1), rows.Eq(2)
		for _, place := range []struct{ cell, text, title string }{
			{"[data-col=entity_id] code", arn, arn},
			{".entity-name bdi", "Autoscaler of the production cluster", "Autoscaler of the production cluster"},
			{"[data-col=user] bdi", "Maximiliane Charlotte von Hohenzollern", "Maximiliane Charlotte von Hohenzollern"},
		} {
			found := long.Find(place.cell)
			title := found.Closest("[title]").AttrOr("title", "")
			if found.Text() != place.text || title != place.title || found.Parent().Find(".cut[data-shown]").AttrOr("data-shown", "") != place.text {
				t.Errorf("%s reads %q, in the title %q", place.cell, found.Text(), title)
			}
		}
		if end := long.Find("[data-col=user] .cut").AttrOr("data-shown-end", ""); end != "ollern" {
			t.Errorf("of the name the end %q is kept", end)
		}
		if equal.Find(".entity-name").Length() != 0 || equal.Find("[data-copy]").AttrOr("data-copy", "") != "svc_1" {
			t.Errorf("a name equal to the ID is shown twice: %s", text(equal))
		}
		if equal.Find(".action.whole").Length() != 1 || long.Find(".action.whole").Length() != 0 {
			t.Error("a verb too long for its column is not whole")
		}
		if hebrew.Find(".entity-name .cut").Length() != 0 {
			t.Error("a name from right to left is cut in the middle")
		}
		opened := d.page(logPath+"/"+equal.AttrOr("data-entry-id", ""), fragment...)
		if names := opened.Find("dt:contains('Entity name')"); names.Length() != 0 {
			t.Error("the opened entry names the ID twice")
		}
		history := d.page(historyPath(d.org, "cluster", "svc_1"))
		if head := text(history.Find(".page-head")); strings.Count(head, "svc_1") != 1 {
			t.Errorf("the history's head says %q", head)
		}
	})
}

func TestEntriesRecordedTogetherCarryOneMark(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		var entries []models.Entry
		for i := range 12 { // an import, whose rows took some minutes
			entries = append(entries, models.Entry{
				EntityID: fmt.Sprint("imported-", i), OccurredAt: d.ago(time.Duration(20+10*i) * time.Hour), RecordedAt: d.ago(time.Hour) + models.Micros(i)*60e6,
			})
		}
		entries = append(entries,
			models.Entry{EntityID: "now", OccurredAt: d.ago(time.Minute)},
			models.Entry{EntityID: "late", OccurredAt: d.ago(2 * time.Hour), RecordedAt: d.ago(0)},
			models.Entry{EntityID: "usual", OccurredAt: d.ago(3 * time.Hour)},
			models.Entry{EntityID: "late as well", OccurredAt: d.ago(4 * time.Hour), RecordedAt: d.ago(0)},
			models.Entry{EntityID: "and again", OccurredAt: d.ago(5 * time.Hour), RecordedAt: d.ago(2 * time.Hour)},
		)
		d.insert(d.org, entries...)

		said := func(path string) (marks []string, rows []string) {
			d.page(path).Find("#entries tbody").Each(func(_ int, body *goquery.Selection) {
				if body.Is(".together") {
					marks = append(marks, text(body))
				}
				if late := body.Find(".late"); late.Length() > 0 {
					rows = append(rows, body.Find("code").Text()+" "+late.Text())
				}
			})
			return marks, rows
		}
		marks, rows := said(logPath)
		if want := []string{"The next 12 entries were recorded together, 19 h to 5 days later, on Jun 15, 2026, 11:11:00"}; !slices.Equal(marks, want) {
			t.Errorf("the marks are %q, want %q", marks, want)
		}
		if want := []string{"late recorded 2 h later", "late as well recorded 4 h later", "and again recorded 3 h later"}; !slices.Equal(rows, want) {
			t.Errorf("the rows marked are %q, want %q", rows, want)
		}
		if marks, rows := said(logPath + "?q=" + url.QueryEscape("imported") + "&limit=25"); len(marks) != 1 || len(rows) != 0 {
			t.Errorf("a page of an import carries %q and %q", marks, rows)
		}
		if marks, rows := said(logPath + "?dir=asc"); len(marks) != 1 || len(rows) != 3 {
			t.Errorf("oldest first there are %q and %q", marks, rows)
		}

		// What came from a file says so, however late it was recorded.
		var restored []models.Entry
		for i := range 4 {
			restored = append(restored,
				models.Entry{Action: "backup:create", EntityType: "restored", OccurredAt: d.ago(time.Duration(i+1) * time.Hour), Origin: models.OriginRestore},
				models.Entry{Action: "backup:update", EntityType: "imported", OccurredAt: d.ago(time.Duration(i+1) * time.Hour), RecordedAt: d.ago(time.Minute), Origin: models.OriginImport})
		}
		d.insert(d.org, restored...)
		for query, want := range map[string]string{
			"?entity_type=restored": "The next 4 entries were restored from an export", "?entity_type=imported": "The next 4 entries were imported on Jun 15, 2026, 11:59:00",
		} {
			if marks, rows := said(logPath + query); len(rows) != 0 || !slices.Equal(marks, []string{want}) {
				t.Errorf("%s: the marks are %q and %q, want %q", query, marks, rows, want)
			}
		}
		if marks, rows := said(logPath + "?action=backup:create&action=backup:update"); len(marks) != 0 || len(rows) != 8 || !strings.Contains(strings.Join(rows, ","), "srv_1 imported,srv_1 restored") {
			t.Errorf("among one another they carry %q and %q", marks, rows)
		}
	})
}
