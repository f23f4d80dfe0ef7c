package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteReaders is how many questions SQLite answers at the same time. Each keeps statements.
var sqliteReaders = min(max(4, runtime.NumCPU()), 8)

// sqlitePatience is how long another process that writes is waited for.
const sqlitePatience = 10 * time.Second

// SQLiteFile is the path of the file that a database's address names, and whether it names one.
func SQLiteFile(url string) (path string, ok bool) {
	rest, ok := strings.CutPrefix(url, "sqlite:")
	return strings.TrimPrefix(rest, "//"), ok
}

func openSQLite(ctx context.Context, path string, log *slog.Logger) (*DB, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("database: SQLite needs the path of a file, such as sqlite:data/auditlogs.db")
	}
	if strings.Contains(path, "?") {
		return nil, errors.New("database: options after the path of a SQLite file are not supported")
	}
	file, closeFile, err := openSQLiteFile(path)
	if err != nil {
		return nil, fmt.Errorf("database: SQLite file %s: %w", path, reason(err))
	}
	db := &DB{closeFile: closeFile, place: sqlitePlace{path, file}}
	// Immediate transactions take the write lock when they begin: two that read first and write
	// later would otherwise fail instead of waiting for each other. One connection, so that waiting
	// happens in Go, in order, instead of in SQLite's retry loop.
	// auto_vacuum is applied before the first table exists: afterwards it would take a full VACUUM. Setting it
	// writes, so connections that only read do without, or a new one would wait for whoever writes.
	if db.Write, err = openSQLitePool(ctx, db.place, true, url.Values{"_txlock": {"immediate"}, "_auto_vacuum": {"incremental"}}, 1, log); err == nil {
		db.Read, err = openSQLitePool(ctx, db.place, false, url.Values{"_pragma": {"query_only(1)"}}, sqliteReaders, log)
	}
	if err == nil {
		err = checkWritable(ctx, db.Write)
	}
	if err == nil {
		db.checkpoints, err = beginCheckpoints(db, file, log)
	}
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("database: SQLite file %s: %w", path, err)
	}
	return db, nil
}

// CheckExists returns an error where url names a SQLite file that does not exist: Open would
// make it. Whether a PostgreSQL database exists is found by Open.
func CheckExists(url string) error {
	path, isFile := strings.CutPrefix(url, "sqlite:")
	if !isFile {
		return nil
	}
	path = strings.TrimPrefix(path, "//")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("database: there is no SQLite file %s", path)
	}
	return nil
}

// IsBusy reports whether err is SQLite's because another process wrote for so long that waiting for it was
// given up. Nothing was done; it may be tried again.
func IsBusy(err error) bool {
	var sqliteError *sqlite.Error
	return errors.As(err, &sqliteError) && sqliteError.Code()&0xff == sqlite3.SQLITE_BUSY
}

// openSQLitePool makes a pool of connections to a file that is there: none makes a new one in its place.
func openSQLitePool(ctx context.Context, place sqlitePlace, writes bool, options url.Values, connections int, log *slog.Logger) (*gorm.DB, error) {
	absolute, err := filepath.Abs(place.path)
	if err != nil {
		return nil, err
	}
	absolute = filepath.ToSlash(absolute)
	if !strings.HasPrefix(absolute, "/") {
		absolute = "/" + absolute // C:/… on Windows
	}
	options.Set("mode", "rw")
	options.Set("_busy_timeout", strconv.FormatInt(sqlitePatience.Milliseconds(), 10))
	pragmas := []string{"journal_mode(WAL)", "wal_autocheckpoint(" + automaticPages + ")", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)"}
	for _, pragma := range append(pragmas, sharePages()...) {
		options.Add("_pragma", pragma)
	}
	address := url.URL{Scheme: "file", Path: absolute, RawQuery: options.Encode()}
	connector, err := sqlite.NewConnector(address.String())
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(placedFile{keepingStatements{connector}, place, writes})
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	if err := pingSQLite(ctx, pool); err != nil {
		_ = pool.Close()
		return nil, err
	}
	db, err := gorm.Open(sqliteDialector{&gormsqlite.Dialector{DriverName: "sqlite", Conn: pool}}, gormConfig(log))
	if err != nil {
		_ = pool.Close()
		return nil, err
	}
	return db, nil
}

// pingSQLite makes the first connection. Where another process turns the same new file to its write-ahead log,
// SQLite fails at once, however long it was told to wait: both have begun to read the file by then.
func pingSQLite(ctx context.Context, pool *sql.DB) error {
	for deadline := time.Now().Add(sqlitePatience); ; {
		err := pool.PingContext(ctx)
		if !IsBusy(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// checkWritable finds a file that can be read but not written now, and not with the first event.
func checkWritable(ctx context.Context, db *gorm.DB) error {
	tx := db.WithContext(ctx).Begin()
	if tx.Error != nil {
		return tx.Error
	}
	return tx.Rollback().Error
}

// sqliteDialector is GORM's, with the errors of the pure Go driver translated.
type sqliteDialector struct{ *gormsqlite.Dialector }

// Translate gives GORM's error for a violated constraint; the driver's own stays inside.
func (sqliteDialector) Translate(err error) error {
	var sqliteError *sqlite.Error
	if !errors.As(err, &sqliteError) {
		return err
	}
	switch sqliteError.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fmt.Errorf("%w: %w", gorm.ErrDuplicatedKey, err)
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fmt.Errorf("%w: %w", gorm.ErrForeignKeyViolated, err)
	case sqlite3.SQLITE_CONSTRAINT_CHECK:
		return fmt.Errorf("%w: %w", gorm.ErrCheckConstraintViolated, err)
	default:
		return err
	}
}

// reason leaves out the path of a file error: the message around it names the file already.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
