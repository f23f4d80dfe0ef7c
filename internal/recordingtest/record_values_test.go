package recordingtest

import (
	"context"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// plainValues are the Statements of a library that takes no other values than audit.Statements promises.
type plainValues struct {
	audit.Statements
	t      *testing.T
	sqlite bool
}

func (s plainValues) check(query string, args []any) {
	s.t.Helper()
	for i, value := range args {
		switch value.(type) {
		case string, int, int64, bool, nil:
			continue
		case []byte:
			if s.sqlite {
				continue
			}
		}
		s.t.Errorf("value %d is a %T, of %s", i+1, value, query)
	}
}

func (s plainValues) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	s.check(query, args)
	return s.Statements.Exec(ctx, query, args...)
}

func (s plainValues) Query(ctx context.Context, query string, args ...any) (audit.Rows, error) {
	s.check(query, args)
	return s.Statements.Query(ctx, query, args...)
}

func TestStatementsGetPlainValues(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		dialect, err := audit.DialectOf(db.Write)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write.Transaction(func(tx *gorm.DB) error {
			h := audit.Handle{Dialect: dialect, Statements: plainValues{models.OverSQL(tx.Statement.ConnPool), t, dialect == audit.SQLite}}
			for _, organization := range []audit.Organization{{Slug: "acme"}, {Slug: "beta", ExternalID: "tenant-1"}} {
				if _, err := h.EnsureOrganization(t.Context(), organization); err != nil {
					return err
				}
			}
			event := audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-1", Actor: audit.System("test")}
			if _, err := h.Record(t.Context(), event); err != nil {
				return err
			}
			event.ID, event.Outcome, event.NativeAction = "once", audit.OutcomeFailure, "Update"
			event.Related = []audit.Resource{{Type: "subnet", ID: "net-1"}}
			event.Actor = audit.Actor{Type: audit.ActorAgent, ID: "bot", Name: "Bot", OnBehalfOf: &audit.Principal{ID: "ada", Name: "Ada"}}
			for range 2 {
				if _, err := h.RecordAll(t.Context(), []audit.Event{event, {ExternalID: "tenant-1", Action: action.ServiceDelete, EntityID: "svc-2", Actor: event.Actor}}); err != nil {
					return err
				}
			}
			event.ID, event.OccurredAt = "past", time.Now().Add(-time.Hour)
			_, err := h.Backfill(t.Context(), []audit.Event{event})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
