package conformance

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

// Driver is one of SQLite's.
type Driver struct {
	// Name is what database/sql knows it by.
	Name string
	// Address is that of FILE as docs/stacks.md has it; Deferred is the same with transactions that do not begin by
	// writing, and Impatient is with such, too, and one with which SQLite waits for nobody.
	Address, Deferred, Impatient string
	// GORM is GORM's dialect over a pool of the driver.
	GORM func(db *sql.DB) gorm.Dialector
}

// Run tests all of a driver.
func (d Driver) Run(t *testing.T) {
	t.Run("database/sql", func(t *testing.T) {
		Run(t, DatabaseSQL(audit.SQLite, d.Open(t, d.File(t), d.Address)))
	})
	t.Run("GORM", func(t *testing.T) {
		db, err := gorm.Open(d.GORM(d.Open(t, d.File(t), d.Address)), &gorm.Config{})
		if err != nil {
			t.Fatal(err)
		}
		Run(t, GORM(t, audit.SQLite, db))
	})
	t.Run("transactions wait for each other", d.waiting)
	t.Run("what the address lacks is said", d.lacking)
	t.Run("Migrate warns where nobody is waited for", d.warning)
}

// Open opens file at one of the driver's addresses.
func (d Driver) Open(t *testing.T, file, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.Name, strings.Replace(address, "FILE", file, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// File makes a file with the tables of the log.
func (d Driver) File(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "service.db")
	db := d.Open(t, file, d.Address)
	if err := migrate.SQL(t.Context(), db, audit.SQLite); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.SQLite.EnsureOrganization(t.Context(), db, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
	return file
}

// record records an event as an application does that makes sure of its organization each time.
func record(t *testing.T, tx *sql.Tx, entity string) error {
	if _, err := audit.SQLite.EnsureOrganization(t.Context(), tx, audit.Organization{Slug: "acme"}); err != nil {
		return err
	}
	_, err := audit.SQLite.Record(t.Context(), tx, audit.Event{
		Organization: "acme", Action: action.ServiceUpdate, EntityID: entity, Actor: audit.System("test"),
	})
	return err
}

func (d Driver) waiting(t *testing.T) {
	for name, address := range map[string]string{"immediate": d.Address, "deferred": d.Deferred} {
		t.Run(name, func(t *testing.T) {
			const writers, each = 8, 20
			db := d.Open(t, d.File(t), address)
			var writing sync.WaitGroup
			for writer := range writers {
				writing.Go(func() {
					for n := range each {
						tx, err := db.BeginTx(t.Context(), nil)
						if err != nil {
							t.Error(err)
							return
						}
						if err := errors.Join(record(t, tx, fmt.Sprint(writer, "-", n)), tx.Commit()); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			writing.Wait()
			var entries int
			if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM audit_entries").Scan(&entries); err != nil || entries != writers*each {
				t.Errorf("%d entries, want %d (%v)", entries, writers*each, err)
			}
		})
	}
}

func (d Driver) lacking(t *testing.T) {
	file := d.File(t)
	other := d.Open(t, file, d.Address)
	write := func() *sql.Tx {
		tx, err := other.BeginTx(t.Context(), nil)
		if err == nil {
			_, err = tx.ExecContext(t.Context(), "UPDATE audit_organizations SET name = name || '.'")
		}
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	expect := func(err error, lacks string) {
		t.Helper()
		if !errors.Is(err, audit.ErrBusy) || !strings.Contains(err.Error(), lacks) {
			t.Errorf("it fails with %v, want %v that names %s", err, audit.ErrBusy, lacks)
		}
	}
	impatient, deferred := d.Open(t, file, d.Impatient), d.Open(t, file, d.Deferred)
	writing := write()
	tx, err := impatient.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(record(t, tx, "a"), "busy_timeout")
	_ = tx.Rollback()
	_, err = audit.SQLite.RecordAll(t.Context(), impatient, []audit.Event{{Organization: "acme", Action: action.ServiceUpdate, EntityID: "a", Actor: audit.System("test")}})
	expect(err, "busy_timeout")
	if err := writing.Rollback(); err != nil {
		t.Fatal(err)
	}

	if tx, err = deferred.BeginTx(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var organizations int
	if err := tx.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM audit_organizations").Scan(&organizations); err != nil {
		t.Fatal(err)
	}
	if err := write().Commit(); err != nil {
		t.Fatal(err)
	}
	expect(record(t, tx, "a"), "_txlock=immediate")
}

func (d Driver) warning(t *testing.T) {
	var said bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	defer slog.SetDefault(before)
	file := d.File(t)
	if said.Len() > 0 {
		t.Errorf("with the address of the documents Migrate says %s", said.String())
	}
	if err := migrate.SQL(t.Context(), d.Open(t, file, d.Impatient), audit.SQLite); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "busy_timeout(10000)") {
		t.Errorf("Migrate says %q", said.String())
	}
}
