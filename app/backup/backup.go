// Package backup copies a whole log, with its accounts, keys and settings, to a file while servers and applications go on,
// and makes a database of such a file. What it has written is read again and compared before it says that it is done.
//
// Of SQLite the file is a SQLite database; of PostgreSQL an archive of its tables (see postgres.go).
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/auditlogs/auditlogs/app/database"
)

// Summary is what a file holds.
type Summary struct {
	Entries int64
	Bytes   int64 // of the file
}

// Write copies the log in db, which address names, to a new file.
//
// Errors: fs.ErrExist where the file exists; whatever is wrong, no file is left.
func Write(ctx context.Context, db *database.DB, address, file string) (summary Summary, err error) {
	if _, err := os.Lstat(file); err == nil {
		return summary, fmt.Errorf("%s: %w", file, fs.ErrExist)
	}
	draft, err := draftOf(file)
	if err != nil {
		return summary, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(draft)
		}
	}()
	write, check := writePostgres, checkPostgres
	if _, isSQLite := database.SQLiteFile(address); isSQLite {
		write, check = writeSQLite, checkSQLite
	}
	if err := write(ctx, db, draft); err != nil {
		return summary, err
	}
	if summary.Entries, err = check(ctx, draft); err != nil {
		return summary, fmt.Errorf("reading the backup again: %w", err)
	}
	if summary.Bytes, err = syncFile(draft); err != nil {
		return summary, err
	}
	return summary, os.Rename(draft, file)
}

// Restore makes a database at address of a file that Write has made, and brings its schema to this program's version.
//
// Errors: where there is a log already, at the address of a SQLite database any file, nothing is changed.
func Restore(ctx context.Context, file, address string, log *slog.Logger) (summary Summary, err error) {
	if path, isSQLite := database.SQLiteFile(address); isSQLite {
		if summary, err = restoreSQLite(ctx, file, path); err != nil {
			return summary, err
		}
		db, err := database.Open(ctx, address, log)
		if err != nil {
			return summary, err
		}
		return summary, errors.Join(db.Migrate(ctx), db.Close())
	}
	db, err := database.Open(ctx, address, log)
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return restorePostgres(ctx, file, db)
}

// draftOf returns where a file is written before it gets its name. Nothing is there.
func draftOf(file string) (string, error) {
	draft := file + ".part"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) { // of one that was killed
		return "", err
	}
	return draft, nil
}

func laterError(there, ours int64) error {
	return fmt.Errorf("its schema has version %d, later than this program's %d: use the version of auditlogs that made it, or a later one", there, ours)
}

// syncFile waits until a file is on the disk, and returns its size.
func syncFile(path string) (int64, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), file.Sync()
}
