package commands

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

func TestSearchPrintsWhatAQuestionFinds(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite:" + databasetest.SQLiteFile(t),
		"postgres": databasetest.PostgresURL(t),
	} {
		t.Run(name, func(t *testing.T) {
			store, err := databasetest.Open(t, url).Store(nil)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now().Truncate(time.Second)
			logtest.Insert(t, store, logtest.Organization(t, store, "acme"),
				models.Entry{OccurredAt: models.MicrosOf(now.Add(-time.Hour)), Action: "service:update", EntityID: "web", ActorID: "u-1", ActorName: "Ada", Metadata: `{"region":"eu"}`},
				models.Entry{OccurredAt: models.MicrosOf(now.Add(-2 * time.Hour)), Action: "service:delete", EntityID: "web\x1b[2J", ActorID: "u-2", ActorName: "Bob", Outcome: "denied"},
				models.Entry{OccurredAt: models.MicrosOf(now.Add(-50 * time.Hour)), Action: "project:update", EntityID: "p", ActorID: "u-1", ActorName: "Ada"},
			)
			search := func(arguments ...string) (code int, out, problem string) {
				var stdout, stderr bytes.Buffer
				code = Run(t.Context(), append([]string{"search", "--database", url}, arguments...), nil, &stdout, &stderr)
				return code, stdout.String(), stderr.String()
			}
			moment := func(ago time.Duration) string { return models.MicrosOf(now.Add(-ago)).RFC3339() + "\t" }
			web := moment(time.Hour) + "service:update\tservice\tweb\tAda\n"
			deleted := moment(2*time.Hour) + "service:delete (denied)\tservice\t\"web\\x1b[2J\"\tBob\n"
			project := moment(50*time.Hour) + "project:update\tproject\tp\tAda\n"
			for question, want := range map[string]string{
				"":                         web + deleted + project,
				"actor:ada after:-1d":      web,
				"-actor:ada":               deleted,
				"action:*:update -service": project,
				"meta.region:eu":           web,
				"nothing":                  "",
			} {
				if code, out, problem := search("--organization", "acme", "--", question); code != 0 || out != want {
					t.Errorf("%s ends with %d and prints\n%swant\n%s%s", question, code, out, want, problem)
				}
			}
			if code, out, _ := search("--organization", "acme", "--limit", "2"); code != 0 || out != web+deleted {
				t.Errorf("two entries end with %d and are\n%s", code, out)
			}
			code, out, _ := search("--organization", "acme", "--format", "ndjson", "meta:eu")
			var entry struct {
				EntityID string `json:"entity_id"`
				Metadata struct{ Region string }
			}
			if err := json.Unmarshal([]byte(out), &entry); code != 0 || err != nil || entry.EntityID != "web" || entry.Metadata.Region != "eu" {
				t.Errorf("as NDJSON it ends with %d: %s", code, out)
			}
			for problem, arguments := range map[string][]string{
				`no organization has the slug "nobody"`: {"--organization", "nobody"},
				"right would be action:x":               {"--organization", "acme", "acton:x"},
				"must be 1 or more":                     {"--organization", "acme", "--limit", "0"},
			} {
				if code, out, said := search(arguments...); code != 1 || out != "" || !strings.Contains(said, problem) {
					t.Errorf("%v ends with %d: %s%s", arguments, code, out, said)
				}
			}
		})
	}
}
