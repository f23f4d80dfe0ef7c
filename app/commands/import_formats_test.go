package commands

import (
	"bytes"
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

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/importer"
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

// namesGiven returns what the actions of a format's samples are called.
func namesGiven(t *testing.T, format string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for line := range strings.Lines(recent(t, format, "expected.ndjson")) {
		var expected struct {
			NativeAction string `json:"native_action"`
		}
		if err := json.Unmarshal([]byte(line), &expected); err != nil {
			t.Fatal(err)
		}
		names[expected.NativeAction] = true
	}
	return names
}

// Every sample is accepted, under the name that its system gives it, and the second time it is there.
func TestImportOfOtherSystemsFormats(t *testing.T) {
	file := map[string]string{importer.CSV: "events.csv"}
	records := map[string]int{
		"cloudtrail": 125, "github": 88, "okta": 57, "gcp": 77, "workos": 20, "ocsf": 25, "cloudevents": 23, "csv": 12,
	}
	if formats := importer.Formats(); len(formats) != 1+len(records) || formats[0] != importer.Own {
		t.Errorf("the formats are %v", formats)
	}
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		for _, format := range slices.Sorted(maps.Keys(records)) {
			t.Run(format, func(t *testing.T) {
				name := "events.ndjson"
				if file[format] != "" {
					name = file[format]
				}
				history, before := recent(t, format, name), countEntries(t, db)
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
					t.Fatalf("%+v", got)
				}
				if got := read(); got.err != nil || !strings.Contains(got.console, fmt.Sprintf(": 0 imported, %d there already.", n)) {
					t.Errorf("the second time: %+v", got)
				}
				for name := range namesGiven(t, format) {
					var found int64
					err := db.Read.Table("audit_entries").Where("native_action = ? OR action = ?", name, name).Count(&found).Error
					if err != nil || found == 0 {
						t.Errorf("no entry is found by %q, %v", name, err)
					}
				}
				if stored := countEntries(t, db) - before; stored != int64(n) {
					t.Errorf("%d entries; want %d", stored, n)
				}
			})
		}
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
