//go:build unix

package soak

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
)

// changing is a load of children that change a table of their own and record that, both in one transaction, one
// event after the other.
type changing struct{ *recording }

func inTransactions(t *testing.T, _ *rand.Rand, to target) load {
	t.Helper()
	within(t, to.databaseURL, func(db *database.DB) error {
		return errors.Join(db.Write.Exec("CREATE TABLE parcels (id text PRIMARY KEY)").Error, managed(db.Write, "parcels"))
	})
	return changing{startRecording(t, &recording{to: to, child: "transaction", failures: true,
		variables: []string{"SOAK_DATABASE=" + to.databaseURL}})}
}

// finish also compares the changes with the entries.
func (c changing) finish(t *testing.T) {
	t.Helper()
	c.recording.finish(t)
	entries, changes := map[string]bool{}, map[string]bool{}
	within(t, c.to.databaseURL, func(db *database.DB) error {
		for question, into := range map[string]map[string]bool{
			"SELECT entity_id FROM audit_entries WHERE org_id = (SELECT id FROM audit_organizations WHERE slug = '" + c.to.organization + "')": entries,
			"SELECT id FROM parcels": changes,
		} {
			var ids []string
			if err := db.Read.Raw(question).Scan(&ids).Error; err != nil {
				return err
			}
			for _, id := range ids {
				into[id] = true
			}
		}
		return nil
	})
	if !maps.Equal(entries, changes) {
		t.Errorf("there are %d changes and entries of %d", len(changes), len(entries))
	}
}

// transactionChild records in transactions of its own.
func transactionChild() error {
	db, err := database.Open(context.Background(), os.Getenv("SOAK_DATABASE"), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(recordAsTold(changer{db.Write}, eventOf), db.Close())
}

type changer struct{ db *gorm.DB }

func (c changer) Record(ctx context.Context, event audit.Event) (audit.Receipt, error) {
	tx := c.db.WithContext(ctx).Begin()
	if tx.Error != nil {
		return audit.Receipt{}, tx.Error
	}
	defer tx.Rollback() // of no effect after Commit
	if err := tx.Exec("INSERT INTO parcels VALUES (?) ON CONFLICT DO NOTHING", event.EntityID).Error; err != nil {
		return audit.Receipt{}, err
	}
	receipt, err := audit.Record(ctx, tx, event)
	if err != nil {
		return audit.Receipt{}, err
	}
	if err := tx.Commit().Error; err != nil {
		return audit.Receipt{}, fmt.Errorf("%w: %w", audit.ErrOutcomeUnknown, err)
	}
	return receipt, nil
}
