package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// probedRoom is how many bytes a probe makes sure of: what recording an event may need.
const probedRoom = 256 << 10

// Probe finds out whether the database stores anything: it writes a row, and takes it away again. For that alone a
// full disk may have room left, in pages and logs that are there already; so a probe also takes new room where the
// database is, and gives it back.
func (db *DB) Probe(ctx context.Context) error {
	write, err := db.Write.DB()
	if err != nil {
		return err
	}
	if db.Write.Name() == "postgres" {
		return probe(ctx, write, &sql.TxOptions{Isolation: sql.LevelReadCommitted},
			// What does not fit into this memory is written to a file beside the tables.
			"SET LOCAL work_mem = '64kB'", "SELECT COUNT(*) FROM generate_series(1, 10000)")
	}
	if err := db.place.probeRoom(); err != nil {
		return err
	}
	return probe(ctx, write, nil)
}

func probe(ctx context.Context, pool *sql.DB, options *sql.TxOptions, first ...string) error {
	tx, err := pool.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	// A row that nobody else's probe waits for. Its name is no job's.
	name := "probe " + rand.Text()
	for _, statement := range append(first,
		"INSERT INTO audit_jobs (name) VALUES ('"+name+"')",
		"DELETE FROM audit_jobs WHERE name = '"+name+"'") {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			_ = tx.Rollback() // which is done already where the context or the connection has ended
			return err
		}
	}
	return tx.Commit()
}

// probeRoom makes a file beside the database, and removes it.
func (p sqlitePlace) probeRoom() (err error) {
	name := p.path + "-probe"
	_ = os.Remove(name) // of a server that was killed
	room, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make a file beside the database: %w", err)
	}
	defer func() { err = errors.Join(err, room.Close(), os.Remove(name)) }()
	content := make([]byte, probedRoom)
	_, _ = rand.Read(content) // so that no file system makes it smaller
	if _, err := room.Write(content); err != nil {
		return fmt.Errorf("take room beside the database: %w", err)
	}
	if err := room.Sync(); err != nil {
		return fmt.Errorf("take room beside the database: %w", err)
	}
	return nil
}
