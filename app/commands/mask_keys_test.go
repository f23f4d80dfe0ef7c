package commands

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// Keys are those of the whole program, so each way in has one of its own here.
func TestKeysOfTheOperatorsAreMaskedAndKeptOnEveryWayIn(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, db *database.DB) {
		code, _, stderr := execute(t, "record", "--database", url, "--organization", "acme", "--action", "door:open", "--entity-id", "record",
			"--actor-id", "u-7", "--metadata", `{"doorCode":"4711","doorToken":"seen"}`, "--mask-keys", "badge number,door code", "--keep-keys", "door token")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}

		history := filepath.Join(t.TempDir(), "history.ndjson")
		line := `{"id":"1","organization":"acme","action":"door:open","entity_id":"import","actor":{"id":"u-7"},"occurred_at":"` +
			time.Now().Add(-time.Hour).Format(time.RFC3339) + `","metadata":{"gate_code":"4711","gate_token":"seen"}}`
		if err := os.WriteFile(history, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := execute(t, "import", history, "--database", url, "--mask-keys", "gate code", "--keep-keys", "gate token"); code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}

		var key string
		err := db.Write.Transaction(func(tx *gorm.DB) (err error) {
			var org models.Organization
			if err := tx.Take(&org).Error; err != nil {
				return err
			}
			_, key, err = accounts.CreateAPIKey(t.Context(), tx, org.ID, "ci", accounts.ScopeWrite, "ada", 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("AUDITLOGS_MASK_KEYS", "vault code")
		t.Setenv("AUDITLOGS_KEEP_KEYS", "vault token")
		console, stop := serve(t, "--database", url)
		defer stop()
		request, err := http.NewRequest(http.MethodPost, find(t, console, `Audit Logs is at (http://127\.0\.0\.1:\d+)`)+"/api/v1/events",
			strings.NewReader(`{"action":"door:open","entity_id":"serve","actor":{"id":"u-7"},"metadata":{"VAULT_CODE":"4711","VAULT_TOKEN":"seen"}}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()

		var entries []models.Entry
		if err := db.Read.Where("action = 'door:open'").Find(&entries).Error; err != nil || len(entries) != 3 {
			t.Fatalf("%d entries, %v; the server answered %s", len(entries), err, answer.Status)
		}
		for _, entry := range entries {
			if strings.Contains(entry.Metadata, "4711") || !strings.Contains(entry.Metadata, "[masked]") || !strings.Contains(entry.Metadata, "seen") {
				t.Errorf("by %s it is stored with %s", entry.EntityID, entry.Metadata)
			}
		}
	})
}
