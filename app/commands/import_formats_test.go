package commands

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/importer"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

var (
	someDay  = regexp.MustCompile(`20\d\d-\d\d-\d\d([Tt ])`)
	someTime = regexp.MustCompile(`"(@timestamp|created_at)":\d{13}`)
)

// recent returns the samples of a format as of the day before yesterday: what is older than an organization keeps is not
// imported.
func recent(t *testing.T, name ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"../importer/testdata"}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	day := time.Now().UTC().Truncate(24 * time.Hour).Add(-48 * time.Hour)
	text = someDay.ReplaceAll(text, []byte(day.Format(time.DateOnly)+"$1"))
	text = someTime.ReplaceAllFunc(text, func(field []byte) []byte {
		name, ms, _ := bytes.Cut(field, []byte(":"))
		return fmt.Appendf(nil, "%s:%d%s", name, day.UnixMilli()/1e8, ms[5:])
	})
	return strings.ReplaceAll(string(text), "T23:59:60Z", "T23:59:59Z") // a leap second is at the end of a month
}

// namesGiven counts what the actions of a format's samples are called.
func namesGiven(t *testing.T, format string) map[string]int {
	t.Helper()
	names := map[string]int{}
	for line := range strings.Lines(recent(t, format, "expected.ndjson")) {
		var expected struct {
			NativeAction string `json:"native_action"`
		}
		if err := json.Unmarshal([]byte(line), &expected); err != nil {
			t.Fatal(err)
		}
		names[expected.NativeAction]++
	}
	return names
}

// Every sample is accepted, the second time it is there, and the name that its system gives it finds it. Of its values the
// secrets are masked, and the facts are not.
func TestImportOfOtherSystemsFormats(t *testing.T) {
	file := map[string]string{importer.CSV: "events.csv"}
	records := map[string]int{
		"cloudtrail": 125, "github": 88, "okta": 57, "gcp": 77, "workos": 20, "ocsf": 25, "cloudevents": 23, "csv": 12,
	}
	if formats := importer.Formats(); len(formats) != 1+len(records) || formats[0] != importer.Own {
		t.Errorf("the formats are %v", formats)
	}
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		var all []models.Entry
		judged := map[string]int{}
		for _, format := range slices.Sorted(maps.Keys(records)) {
			history := recent(t, format, cmp.Or(file[format], "events.ndjson"))
			read := func() imported {
				return importHistory(t.Context(), address, strings.NewReader(history), func(i *importCommand) {
					i.Format, i.Organization = format, "acme"
					if format == importer.CSV {
						i.Map = "../importer/testdata/csv/map.json"
					}
				})
			}
			n := records[format]
			if got := read(); got.err != nil || !strings.Contains(got.console, fmt.Sprintf(": %d imported.", n)) {
				t.Fatalf("%s: %+v", format, got)
			}
			if got := read(); got.err != nil || !strings.Contains(got.console, fmt.Sprintf(": 0 imported, %d there already.", n)) {
				t.Errorf("%s: the second time: %+v", format, got)
			}
			var stored, added []models.Entry
			if err := db.Read.Find(&stored).Error; err != nil {
				t.Fatal(err)
			}
			names := map[string]int{}
			for _, entry := range stored {
				if !slices.ContainsFunc(all, func(before models.Entry) bool { return before.ID == entry.ID }) {
					added = append(added, entry)
					names[cmp.Or(entry.NativeAction, entry.Action)]++
				}
			}
			all = stored
			if want := namesGiven(t, format); !maps.Equal(names, want) {
				t.Errorf("%s: the entries are called %v, and not %v", format, names, want)
			}
			of := wantMasked(t, format, history, added)
			wantNowhere(t, db, of.secrets)
			for kind, n := range of.kinds {
				judged[kind] += n
			}
		}
		if judged["fact"] < 1000 || judged["secret"] < 48 || judged["lost"] > 1 {
			t.Errorf("of the values that are judged %v", judged)
		}

		present := apptest.NewClock()
		present.Advance(time.Since(present.Now()))
		server := apptest.StartAt(t, db, present, func(c *app.Config) { c.APIRateLimit = 0 })
		acme := logtest.FindOrganization(t, server.Store, "acme")
		reader{server.Client(t), server.Key(t, acme, accounts.ScopeRead)}.wantFound(t, all)
	})
}

// The rows of CSV that are refused are a file of CSV again.
func TestRefusedRowsOfCSVHaveTheirHeadings(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		file := filepath.Join(t.TempDir(), "refused.csv")
		at := time.Now().UTC().Format(time.RFC3339)
		const head, bad = "When;What;Who\r\n", "yesterday;\"Signed\nin\";u-1\r\n"
		read := func(history string) imported {
			return importHistory(t.Context(), address, strings.NewReader(history), func(i *importCommand) {
				i.Format, i.Organization, i.Refused = importer.CSV, "acme", file
				i.Column = map[string]string{"occurred_at": "When", "action": "What", "actor.id": "Who"}
			})
		}
		got := read(head + at + ";Signed in;u-1\r\n" + bad + at + ";Signed out;u-1\r\n")
		if got.err == nil || !strings.Contains(got.console, ": 2 imported, 1 refused.") || !strings.HasPrefix(got.report, "line 3: occurred_at: ") {
			t.Errorf("%+v", got)
		}
		refused, err := os.ReadFile(file)
		if err != nil || string(refused) != head+bad {
			t.Fatalf("refused is %q, %v", refused, err)
		}
		if got := read(strings.Replace(string(refused), "yesterday", at, 1)); got.err != nil || countEntries(t, db) != 3 {
			t.Errorf("mended: %+v", got)
		}
	})
}

func TestImportRefusesFlagsThatDoNotGoTogether(t *testing.T) {
	for want, change := range map[string]func(*importCommand){
		"--restore puts back an export of this log: it goes with no other --format": func(i *importCommand) { i.Format, i.Restore = "okta", true },
		"--map and --column go with --format csv":                                   func(i *importCommand) { i.Map = "map.json" },
		"--format csv needs --map FILE or --column FIELD=HEADING, which say what the columns are": func(i *importCommand) {
			i.Format = importer.CSV
		},
		"occurred_at: is required: no column is given for it": func(i *importCommand) {
			i.Format, i.Column = importer.CSV, map[string]string{"action": "What"}
		},
	} {
		if got := importHistory(t.Context(), "sqlite:", nil, change); got.err == nil || got.err.Error() != want {
			t.Errorf("%v; want %s", got.err, want)
		}
	}
}
