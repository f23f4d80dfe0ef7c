package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

// upSQLite has no lock to hold from the look at the version to the end of the migration: one that failed while the
// schema moved on was run by somebody else.
func upSQLite(ctx context.Context, db *sql.DB, provider *goose.Provider) error {
	warnOfAddress(ctx, db)
	for {
		before := version(ctx, provider)
		_, err := provider.Up(ctx)
		switch {
		case err == nil:
			return nil
		case version(ctx, provider) <= before:
			return known(err)
		}
	}
}

// warnOfAddress tells whose address lets SQLite wait for nobody, before the first event is lost to it.
func warnOfAddress(ctx context.Context, db *sql.DB) {
	if lacks := models.AddressLacks(ctx, models.OverSQL(db)); slices.Contains(lacks, "busy_timeout") {
		slog.WarnContext(ctx, "audit: the SQLite database is opened without a busy timeout: who writes while another does fails with \"database is locked\". "+
			"Add _pragma=busy_timeout(10000) to its address, or _busy_timeout=10000 with mattn/go-sqlite3", "lacks", strings.Join(lacks, ", "))
	}
}

// known wraps an error of SQLite together with that of package audit which it amounts to.
func known(err error) error {
	for text, known := range map[string]error{"no such module: fts5": audit.ErrNoFTS5, "database is locked": audit.ErrBusy} {
		if strings.Contains(err.Error(), text) {
			return fmt.Errorf("%w: %w", known, err)
		}
	}
	return err
}
