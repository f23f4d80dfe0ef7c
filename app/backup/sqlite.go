package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
)

// writeSQLite has SQLite itself copy the database, as it is at one moment: whoever writes goes on in the write-ahead log.
func writeSQLite(ctx context.Context, db *database.DB, file string) error {
	created, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // VACUUM INTO takes an empty file
	if err != nil {
		return err
	}
	if err := created.Close(); err != nil {
		return err
	}
	return db.Write.WithContext(ctx).Exec("VACUUM INTO ?", file).Error
}

// checkSQLite reads a file whole.
func checkSQLite(ctx context.Context, file string) (entries int64, err error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return 0, err
	}
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: "mode=ro&immutable=1"}
	db, err := gorm.Open(&gormsqlite.Dialector{DriverName: "sqlite", DSN: address.String()}, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return 0, err
	}
	pool, err := db.DB()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	there, ours, err := migrate.Versions(ctx, db)
	switch {
	case err != nil:
		return 0, err
	case there == 0:
		return 0, errors.New("it holds no log")
	case there > ours:
		return 0, laterError(there, ours)
	}
	var problems []string
	if err := db.WithContext(ctx).Raw("PRAGMA integrity_check").Scan(&problems).Error; err != nil {
		return 0, err
	}
	if found := strings.Join(problems, "; "); found != "ok" {
		return 0, errors.New(found)
	}
	err = db.WithContext(ctx).Model(&models.Entry{}).Count(&entries).Error
	return entries, err
}

// restoreSQLite copies file to path, where nothing is.
func restoreSQLite(ctx context.Context, file, path string) (summary Summary, err error) {
	for _, there := range []string{path, path + "-wal", path + "-journal"} {
		if _, err := os.Lstat(there); err == nil {
			return summary, fmt.Errorf("%s: %w", there, fs.ErrExist)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return summary, err
	}
	draft, err := draftOf(path)
	if err != nil {
		return summary, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(draft)
		}
	}()
	if err := copyFile(file, draft); err != nil {
		return summary, err
	}
	if summary.Entries, err = checkSQLite(ctx, draft); err != nil {
		return summary, err
	}
	if summary.Bytes, err = syncFile(draft); err != nil {
		return summary, err
	}
	return summary, os.Rename(draft, path)
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, err = io.Copy(target, source)
	return err
}
