package main

import (
	"context"
	"os"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
)

// measureReuse measures how large the database is after a deletion, and after as many entries were
// recorded as it deleted, or recordedAnew.
func (l *expiringLog) measureReuse(ctx context.Context, d *deletion) error {
	if err := l.measureSize(ctx, d, "after the job"); err != nil {
		return err
	}
	if l.store.Dialect() == "postgres" {
		// What autovacuum does in its own time. The pages of an index that one VACUUM empties are free
		// with the next, once a transaction has come between.
		for _, statement := range []string{"VACUUM audit_entries, audit_entities, audit_actors", "SELECT txid_current()", "VACUUM audit_entries"} {
			if err := l.Write.WithContext(ctx).Exec(statement).Error; err != nil {
				return err
			}
		}
		if err := l.measureSize(ctx, d, "after VACUUM"); err != nil {
			return err
		}
	}
	const batch = 1000
	events := make([]audit.Event, 0, batch)
	anew := min(int(d.deleted), recordedAnew)
	for n := range anew {
		// Entities and actors that the present month knows: their rows are another matter.
		event := l.spec.Event(l.spec.Rows - 1 - n%min(anew, l.spec.Rows/10))
		event.OccurredAt = l.store.Now()
		if events = append(events, event); len(events) < batch && n+1 < anew {
			continue
		}
		if _, err := audit.RecordAll(ctx, l.Write, events); err != nil {
			return err
		}
		events = events[:0]
	}
	return l.measureSize(ctx, d, printer.Sprintf("after %d more entries", anew))
}

// measureSize is of the whole database, on SQLite after its log was moved into the file.
func (l *expiringLog) measureSize(ctx context.Context, d *deletion, when string) error {
	measured := size{when: when}
	path, isFile := database.SQLiteFile(l.url)
	if !isFile {
		err := l.Write.WithContext(ctx).Raw("SELECT pg_database_size(current_database())").Scan(&measured.bytes).Error
		d.sizes = append(d.sizes, measured)
		return err
	}
	if err := l.Write.WithContext(ctx).Exec("PRAGMA wal_checkpoint(TRUNCATE)").Error; err != nil {
		return err
	}
	file, err := os.Stat(path)
	if err != nil {
		return err
	}
	measured.bytes = file.Size()
	d.sizes = append(d.sizes, measured)
	return nil
}
