package recordingtest

import (
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// Whether an entity or an actor is new is found without reading all that the month has seen, also
// where PostgreSQL has no statistics and guesses which index is best.
func TestRecordingReadsFewKnownEntitiesAndActorsBeforePostgreSQLHasStatistics(t *testing.T) {
	const known = 1000
	db := databasetest.PostgresAlone(t).Write
	for _, table := range []string{"audit_entities", "audit_actors"} {
		if err := db.Exec("ALTER TABLE " + table + " SET (autovacuum_enabled = false)").Error; err != nil {
			t.Fatal(err)
		}
	}
	ensure(t, db, audit.Organization{Slug: "acme"})
	made := 0
	make := func(count int) []audit.Event {
		events := make([]audit.Event, count)
		for i := range events {
			made++
			// Long IDs make the index that has them larger than the others.
			long := fmt.Sprintf("%s%d", strings.Repeat("x", 480), made)
			events[i] = audit.Event{Organization: "acme", Action: "parcel:scan", EntityID: long, Actor: audit.Actor{ID: long, Name: "Jo"}}
		}
		return events
	}
	if _, err := audit.RecordAll(t.Context(), db, make(known)); err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string]func(tx *gorm.DB, events []audit.Event) error{
		"one by one": func(tx *gorm.DB, events []audit.Event) error {
			for _, event := range events {
				if _, err := audit.Record(t.Context(), tx, event); err != nil {
					return err
				}
			}
			return nil
		},
		"together": func(tx *gorm.DB, events []audit.Event) error {
			_, err := audit.RecordAll(t.Context(), tx, events)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			const count = 20
			err := db.Transaction(func(tx *gorm.DB) error {
				if err := record(tx, make(count)); err != nil {
					return err
				}
				var read int
				err := tx.Raw("SELECT SUM(COALESCE(idx_tup_fetch, 0) + seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname IN ('audit_entities', 'audit_actors')").
					Scan(&read).Error
				if read > 2*count {
					t.Errorf("to record %d events, %d rows of entities and actors are read", count, read)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
