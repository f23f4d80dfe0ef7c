package modelstest

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

func TestTheStoreAsksForTheLevelItIsMadeFor(t *testing.T) {
	// Not as the server opens it, which sets its connections up.
	pool, err := sql.Open("pgx", databasetest.PostgresURL(t)+"&default_transaction_isolation=serializable")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	db, err := models.OpenSQL(t.Context(), "postgres", pool)
	if err != nil {
		t.Fatal(err)
	}
	store, err := models.NewStore(db, db, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var otherwise, level string
	if err := db.Raw("SELECT current_setting('transaction_isolation')").Scan(&otherwise).Error; err != nil {
		t.Fatal(err)
	}
	err = store.Transaction(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw("SELECT current_setting('transaction_isolation')").Scan(&level).Error
	})
	if err != nil || otherwise != "serializable" || level != "read committed" {
		t.Errorf("its transactions are %s, where others are %s: %v", level, otherwise, err)
	}
}

func TestATransactionThatTheDatabaseGivesUpIsRepeated(t *testing.T) {
	db := databasetest.Postgres(t)
	store := logtest.Store(t, db)
	if err := db.Write.Exec("INSERT INTO audit_meta (key, value) VALUES ('a', ''), ('b', '')").Error; err != nil {
		t.Fatal(err)
	}
	// Each locks one row, and then waits for the other's.
	var first, ended sync.WaitGroup
	first.Add(2)
	var calls atomic.Int64
	for _, keys := range [][]string{{"a", "b"}, {"b", "a"}} {
		ended.Go(func() {
			var waited bool
			err := store.Transaction(t.Context(), func(tx *gorm.DB) error {
				calls.Add(1)
				for _, key := range keys {
					if err := tx.Exec("UPDATE audit_meta SET value = value || 'x' WHERE key = ?", key).Error; err != nil {
						return err
					}
					if !waited {
						waited = true
						first.Done()
						first.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	ended.Wait()
	var values []string
	if err := db.Read.Raw("SELECT value FROM audit_meta WHERE key IN ('a', 'b')").Scan(&values).Error; err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 3 || strings.Join(values, " ") != "xx xx" {
		t.Errorf("it was called %d times, and the values are %q", calls.Load(), values)
	}
}

// refused is an answer of PostgreSQL.
type refused string

func (refused) Error() string      { return "refused" }
func (r refused) SQLState() string { return string(r) }

func TestATransactionIsRepeatedAFewTimesWhereThatMayHelp(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := logtest.Store(t, db)
		ended, end := context.WithCancel(t.Context())
		end()
		for _, tc := range []struct {
			name  string
			ctx   context.Context
			err   error
			calls int
		}{
			{"not to be brought into an order", t.Context(), refused("40001"), 5},
			{"a deadlock", t.Context(), refused("40P01"), 5},
			{"a duplicate", t.Context(), refused("23505"), 1},
			{"another fault", t.Context(), errors.New("no"), 1},
			{"nobody waits any more", ended, refused("40001"), 0},
		} {
			calls := 0
			err := store.Transaction(tc.ctx, func(*gorm.DB) error {
				calls++
				return tc.err
			})
			if calls != tc.calls || calls > 0 && !errors.Is(err, tc.err) || err == nil {
				t.Errorf("%s: it is called %d times, and fails with %v", tc.name, calls, err)
			}
		}
	})
}
