package handlers

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

const exportPath = "/orgs/acme/settings/audit-logs/export?format="

// exportedIDs are the IDs of a CSV export, in order.
func (d *logFixture) exportedIDs(query string) []string {
	d.t.Helper()
	response, body := d.get(exportPath + "csv" + query)
	if response.StatusCode != http.StatusOK {
		d.t.Fatalf("the export of %s answers %d: %s", query, response.StatusCode, body)
	}
	records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		d.t.Fatal(err)
	}
	var ids []string
	for _, record := range records[1:] {
		ids = append(ids, record[0])
	}
	return ids
}

// pagedIDs are the IDs of all pages of the log, in order.
func (d *logFixture) pagedIDs(query string) []string {
	d.t.Helper()
	filter, err := ParseFilter(strings.TrimPrefix(query, "&"), d.zone, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	filter.Limit = 100
	var ids []string
	for {
		page, err := entries.NewLog(d.store).Page(d.t.Context(), d.org, filter.Query())
		if err != nil {
			d.t.Fatal(err)
		}
		for _, entry := range page.Entries {
			ids = append(ids, entry.ID.String())
		}
		if page.Next == nil {
			return ids
		}
		filter.Cursor = page.Next
	}
}

// exports lists the recorded exports, newest first.
func (d *logFixture) exports() []models.Entry {
	d.t.Helper()
	var found []models.Entry
	err := entries.NewLog(d.store).Each(d.t.Context(), d.org, entries.Query{Actions: []string{"audit_log:export"}}, func(batch []models.Entry) error {
		found = append(found, batch...)
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return found
}

func TestAnExportIsWhatTheFiltersShow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		actions := []string{"service:update", "service:delete", "deployment:create", "project:update"}
		var entries []models.Entry
		for i := range 1100 {
			entries = append(entries, models.Entry{
				OccurredAt: d.ago(time.Duration(i*i%(80*24*60)) * time.Minute), RecordedAt: d.ago(0), Action: actions[i%len(actions)],
				EntityID: fmt.Sprintf("srv_%d", i%70), ActorID: fmt.Sprintf("usr_%d", i%7), ActorName: fmt.Sprintf("Person %d", i%5),
				Metadata: fmt.Sprintf(`{"n":%d}`, i),
			})
		}
		d.insert(d.org, entries...)
		d.insert(d.org, models.Entry{OccurredAt: d.ago(91 * 24 * time.Hour), EntityID: "expired"})
		d.insert(d.organization("other"), models.Entry{EntityID: "foreign"})
		for _, query := range []string{
			"", "&dir=asc", "&sort=action", "&sort=user&dir=desc", "&sort=entity_type",
			"&action=service:update&action=project:update&actor=usr_1&actor=usr_3", "&q=srv_42", "&q=delete+srv&sort=user",
			"&from=-7d", "&from=2026-05-01&to=2026-05-20&tz=Europe/Berlin", "&entity_type=deployment", "&q=nothing-like-it",
			"&limit=25&unknown=x",
		} {
			// Asked first: the export is itself an entry of the log.
			want := d.pagedIDs(query)
			if got := d.exportedIDs(query); !slices.Equal(got, want) {
				t.Errorf("the export of %q has %d entries, the pages %d, or another order", query, len(got), len(want))
			}
			d.now = d.now.Add(time.Second)
		}
	})
}

func TestAnExportIsAnEntryItself(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		inserted := d.insert(d.org, models.Entry{}, models.Entry{OccurredAt: d.ago(-4 * time.Minute), RecordedAt: d.ago(0)}, models.Entry{EntityID: "other"})
		ids := d.exportedIDs("&q=srv_1&cursor=&sort=timestamp")
		if want := []string{inserted[1].ID.String(), inserted[0].ID.String()}; !slices.Equal(ids, want) {
			t.Errorf("the export holds %v, want %v", ids, want)
		}
		recorded := d.exports()
		if len(recorded) != 1 {
			t.Fatalf("%d exports are recorded", len(recorded))
		}
		export := recorded[0]
		if export.ActorID != "usr_reader" || export.EntityType != "audit_log" || export.EntityID != "acme" {
			t.Errorf("recorded is %+v", export)
		}
		var metadata map[string]string
		if err := json.Unmarshal([]byte(export.Metadata), &metadata); err != nil {
			t.Fatal(err)
		}
		if metadata["format"] != "csv" || metadata["filters"] != "q=srv_1" {
			t.Errorf("recorded metadata is %v", metadata)
		}

		if got := d.exportedIDs(""); slices.Contains(got, d.exports()[0].ID.String()) || !slices.Contains(got, export.ID.String()) {
			t.Error("an export must hold the one before it and not itself")
		}
	})
}

func TestWhatIsRecordedDuringAnExportIsNotInIt(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		before := d.insert(d.org, models.Entry{OccurredAt: d.ago(time.Hour)})[0]
		d.insert(d.org, models.Entry{OccurredAt: d.ago(2 * time.Hour), RecordedAt: d.ago(-time.Second), EntityID: "recorded later"})
		if ids := d.exportedIDs("&dir=asc"); !slices.Equal(ids, []string{before.ID.String()}) {
			t.Errorf("the export holds %v", ids)
		}
	})
}

func TestExportsGoOnWhereLittleIsRecorded(t *testing.T) {
	for name, change := range map[string]func(models.Organization) map[string]any{
		"logging off": func(models.Organization) map[string]any { return map[string]any{"logging_enabled": false} },
		"closed":      func(o models.Organization) map[string]any { return map[string]any{"closed_at": o.CreatedAt + 1} },
	} {
		recorded := map[string]int{"logging off": 1}[name] // it is no application's event
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				d := newLogFixture(t, db)
				d.insert(d.org, models.Entry{})
				if err := d.store.Writer(t.Context()).Model(&d.org).Updates(change(d.org)).Error; err != nil {
					t.Fatal(err)
				}
				if ids := d.exportedIDs(""); len(ids) != 1 {
					t.Errorf("the export has %d entries", len(ids))
				}
				if n := len(d.exports()); n != recorded {
					t.Errorf("%d exports are recorded, want %d", n, recorded)
				}
			})
		})
	}
}

func TestAnExportSaysWhatItIs(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.zone = time.FixedZone("Far East", 13*60*60) // where it is tomorrow already
		entry := d.insert(d.org, models.Entry{Metadata: `{"n":1.50}`})[0]
		for format, extension := range map[string]string{
			"csv": "csv", "ndjson": "ndjson", "ocsf": "ocsf.ndjson", "cloudevents": "cloudevents.ndjson", "ecs": "ecs.ndjson",
		} {
			contentType := "application/x-ndjson; charset=utf-8"
			if format == "csv" {
				contentType = "text/csv; charset=utf-8; header=present"
			}
			response, body := d.get(exportPath + format)
			if got := response.Header.Get("Content-Type"); got != contentType {
				t.Errorf("%s is of type %q", format, got)
			}
			if got, want := response.Header.Get("Content-Disposition"), `attachment; filename="audit-logs-acme-2026-06-16.`+extension+`"`; got != want {
				t.Errorf("%s is disposed of as %q, want %q", format, got, want)
			}
			if !strings.Contains(body, entry.ID.String()) || !strings.Contains(body, "1.50") {
				t.Errorf("%s holds %q", format, body)
			}
			if recorded := d.exports()[0].Metadata; !strings.Contains(recorded, `"format":"`+format+`"`) {
				t.Errorf("recorded of %s is %s", format, recorded)
			}
			d.now = d.now.Add(time.Second)
		}
	})
}

// A link with "download" would save whatever is answered: the sign-in page, where the session has ended.
func TestTheLinksToExportsSaveNothingElse(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org, models.Entry{})
		links := d.page("/orgs/acme/settings/audit-logs").Find("#export a")
		if links.Length() != 5 {
			t.Fatalf("%d links", links.Length())
		}
		for _, link := range links.EachIter() {
			if _, saves := link.Attr("download"); saves {
				t.Errorf("%s is saved whatever it is", link.AttrOr("href", ""))
			}
			if response, _ := d.get(link.AttrOr("href", "")); !strings.HasPrefix(response.Header.Get("Content-Disposition"), "attachment") {
				t.Errorf("%s is opened as %q", link.AttrOr("href", ""), response.Header.Get("Content-Disposition"))
			}
		}
	})
}

func TestACSVIsForTheReadersSpreadsheet(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		zone, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		d.zone = zone
		d.insert(d.org, models.Entry{OccurredAt: models.MicrosOf(time.Date(2026, 6, 14, 22, 30, 1, 5000, time.UTC))})
		entry := d.insert(d.org, models.Entry{Metadata: `{"text":"` + strings.Repeat("x", 40000) + `"}`, OccurredAt: d.ago(12 * 30 * time.Hour)})[0]
		_, body := d.get(exportPath + "csv")
		if !strings.HasPrefix(body, "\ufeff") {
			t.Error("nothing says that it is UTF-8")
		}
		records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		last := len(records[0]) - 1
		if records[0][last] != "occurred_at (Europe/Berlin)" || records[1][last] != "2026-06-15 00:30:01" || records[1][1] != "2026-06-14T22:30:01.000005Z" {
			t.Errorf("%s: %s is %s", records[0][last], records[1][1], records[1][last])
		}
		if cell := records[2][15]; !strings.HasSuffix(cell, "the whole is at https://audit.example.com/orgs/acme/settings/audit-logs/"+entry.ID.String()+"]") {
			t.Errorf("the metadata has %d characters and ends with %s", len(cell), cell[len(cell)-100:])
		}
	})
}

func TestAnExportThatCannotBeRecordedIsNoFile(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		if err := db.Write.Exec("DROP TABLE audit_actors").Error; err != nil {
			t.Fatal(err)
		}
		response, _ := d.get(exportPath + "csv")
		if response.StatusCode != http.StatusInternalServerError || response.Header.Get("Content-Disposition") != "" {
			t.Errorf("it answers %d as %q", response.StatusCode, response.Header.Get("Content-Disposition"))
		}
	})
}

func TestABadExportIsRefusedAndNotRecorded(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		for query, names := range map[string]string{
			"": "format", "xlsx": "must be csv, ndjson, ocsf, cloudevents or ecs", "csv&sort=password": "sort", "ndjson&from=yesterdayish": "from", "csv&cursor=torn": "cursor", "csv&limit=1000000": "limit",
		} {
			response, body := d.get(exportPath + query)
			if response.StatusCode != http.StatusBadRequest || !strings.Contains(body, names) {
				t.Errorf("format=%s answers %d: %s", query, response.StatusCode, body)
			}
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodHead, exportPath+"csv", nil)
		if response, err := d.server.Test(request, -1); err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("asking for the head of an export: %v, %v", response, err)
		}
		if recorded := d.exports(); len(recorded) != 0 {
			t.Errorf("%d exports are recorded", len(recorded))
		}
	})
}

// A link on another site, or a browser's guess, must not have the log say that somebody took a file.
func TestAnExportIsTakenByOurOwnPagesOnly(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		for _, headers := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Sec-Fetch-Site", "of nobody"},
			{"Sec-Fetch-Site", "none", "Sec-Purpose", "prefetch;prerender"},
			{"Purpose", "prefetch"},
		} {
			response, body := d.get(exportPath+"csv", headers...)
			if response.StatusCode != http.StatusForbidden || response.Header.Get("Content-Disposition") != "" {
				t.Errorf("%q: %d: %s", headers, response.StatusCode, body)
			}
		}
		if recorded := d.exports(); len(recorded) != 0 {
			t.Errorf("%d exports are recorded", len(recorded))
		}
		for i, headers := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, nil} {
			if response, body := d.get(exportPath+"csv", headers...); response.StatusCode != http.StatusOK {
				t.Errorf("%q: %d: %s", headers, response.StatusCode, body)
			}
			if recorded := d.exports(); len(recorded) != i+1 {
				t.Errorf("%q: %d exports are recorded", headers, len(recorded))
			}
		}
	})
}
