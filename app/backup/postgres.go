package backup

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// The archive is a ZIP with a file for each table, as COPY writes it in its text format, and with what it holds at its
// end. It needs no program but this one, and any version of PostgreSQL that the schema runs on reads it.
const (
	contentsFile = "contents.json"
	formatNow    = 1
)

type contents struct {
	Format  int       `json:"format"`
	Schema  int64     `json:"schema"` // version of the migrations
	TakenAt time.Time `json:"taken_at"`
	Tables  []table   `json:"tables"` // each behind those that it refers to
}

type table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
	SHA256  string   `json:"sha256"` // of its file
}

func (t table) file() string { return t.Name + ".copy" }

// relation is a table with its columns, as COPY takes them.
func (t table) relation() string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = pgx.Identifier{c}.Sanitize()
	}
	return pgx.Identifier{t.Name}.Sanitize() + " (" + strings.Join(columns, ", ") + ")"
}

// entries is the number of entries among the tables.
func (c contents) entries() int64 {
	for _, t := range c.Tables {
		if t.Name == "audit_entries" {
			return t.Rows
		}
	}
	return 0
}

// inTransaction runs fn in a transaction of a connection of its own, at one moment of the database.
func inTransaction(ctx context.Context, db *database.DB, options pgx.TxOptions, fn func(pgx.Tx) error) error {
	pool, err := db.Write.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		return pgx.BeginTxFunc(ctx, driver.(*stdlib.Conn).Conn(), options, func(tx pgx.Tx) error {
			// What COPY writes is the same whatever the role's settings are.
			if _, err := tx.Exec(ctx, "SET LOCAL datestyle = 'ISO'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 3; SET LOCAL timezone = 'UTC'; SET LOCAL synchronize_seqscans = off; SET LOCAL statement_timeout = 0"); err != nil {
				return err
			}
			return fn(tx)
		})
	})
}

func writePostgres(ctx context.Context, db *database.DB, file string) (err error) {
	there, ours, err := migrate.Versions(ctx, db.Write)
	if err != nil {
		return err
	}
	if there != ours {
		return fmt.Errorf("the schema has version %d and this program's is %d: run auditlogs migrate first, or the version that made it", there, ours)
	}
	output, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, output.Close()) }()
	archive := zip.NewWriter(output)
	all := contents{Format: formatNow, Schema: there, TakenAt: time.Now().UTC()}
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = inTransaction(ctx, db, snapshot, func(tx pgx.Tx) error {
		if all.Tables, err = tablesOf(ctx, tx); err != nil {
			return err
		}
		for i := range all.Tables {
			part, err := archive.Create(all.Tables[i].file())
			if err != nil {
				return err
			}
			hash, t := sha256.New(), &all.Tables[i]
			if t.Rows, err = copyTable(ctx, tx, *t, io.MultiWriter(hash, part)); err != nil {
				return err
			}
			t.SHA256 = hex.EncodeToString(hash.Sum(nil))
		}
		return nil
	})
	if err != nil {
		return err
	}
	part, err := archive.Create(contentsFile)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(part)
	encoder.SetIndent("", "  ")
	return errors.Join(encoder.Encode(all), archive.Close())
}

// copyTable writes the rows of a table to w, and returns how many there are.
func copyTable(ctx context.Context, tx pgx.Tx, t table, w io.Writer) (rows int64, err error) {
	copied, err := tx.Conn().PgConn().CopyTo(ctx, w, "COPY "+t.relation()+" TO STDOUT")
	if err != nil {
		return 0, fmt.Errorf("copy %s: %w", t.Name, err)
	}
	return copied.RowsAffected(), nil
}

// tablesOf lists the tables of the log with their columns, each behind those that its foreign keys refer to: those of the
// migrations, where search_path finds them. An application may have tables beside them that are called audit_… as well.
func tablesOf(ctx context.Context, tx pgx.Tx) ([]table, error) {
	names, err := tableNames()
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum),
	ARRAY(SELECT f.confrelid::regclass::text FROM pg_constraint AS f WHERE f.contype = 'f' AND f.conrelid = c.oid AND f.confrelid <> c.oid)
FROM unnest($1::text[]) AS name JOIN pg_class AS c ON c.oid = to_regclass(name)
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.oid, c.relname ORDER BY c.relname`, names)
	if err != nil {
		return nil, err
	}
	type dependent struct {
		table
		after []string
	}
	waiting, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d dependent, err error) {
		err = row.Scan(&d.Name, &d.Columns, &d.after)
		return d, err
	})
	var ordered []table
	for err == nil && len(waiting) > 0 {
		next := slices.IndexFunc(waiting, func(d dependent) bool {
			return !slices.ContainsFunc(waiting, func(other dependent) bool { return slices.Contains(d.after, other.Name) })
		})
		if next < 0 {
			return nil, errors.New("the tables refer to each other in a circle")
		}
		ordered = append(ordered, waiting[next].table)
		waiting = slices.Delete(waiting, next, next+1)
	}
	return ordered, err
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (audit_\w+)`)

// tableNames are the names of all tables that migrations make.
func tableNames() (names []string, err error) {
	files, err := fs.Glob(migrations.Files, "postgres/*.sql")
	for _, file := range files {
		text, err := migrations.Files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, made := range createTable.FindAllSubmatch(text, -1) {
			names = append(names, string(made[1]))
		}
	}
	return names, err
}

// checkPostgres reads an archive whole.
func checkPostgres(_ context.Context, file string) (entries int64, err error) {
	archive, all, err := openArchive(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	for _, t := range all.Tables {
		if err := readTable(archive, t, func(r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		}); err != nil {
			return 0, err
		}
	}
	return all.entries(), nil
}

func openArchive(file string) (*zip.ReadCloser, contents, error) {
	var all contents
	archive, err := zip.OpenReader(file)
	if err != nil {
		return nil, all, fmt.Errorf("%s: %w", file, err)
	}
	part, err := archive.Open(contentsFile)
	if err == nil {
		err = errors.Join(json.NewDecoder(part).Decode(&all), part.Close())
	}
	if err == nil && all.Format != formatNow {
		err = fmt.Errorf("its format is %d, and this program reads %d", all.Format, formatNow)
	}
	if err != nil {
		return nil, all, errors.Join(fmt.Errorf("%s: %w", file, err), archive.Close())
	}
	return archive, all, nil
}

// readTable hands the rows of a table to read, and compares their hash.
func readTable(archive *zip.ReadCloser, t table, read func(io.Reader) error) error {
	part, err := archive.Open(t.file())
	if err != nil {
		return err
	}
	defer part.Close()
	hash := sha256.New()
	if err := read(io.TeeReader(bufio.NewReaderSize(part, 1<<16), hash)); err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	if hex.EncodeToString(hash.Sum(nil)) != t.SHA256 {
		return fmt.Errorf("%s: it is not what was written: the file is damaged", t.Name)
	}
	return nil
}

// restorePostgres makes the tables of the archive's version in a database without any, fills them, and compares what
// they hold then. Nothing is left in the tables where that fails.
func restorePostgres(ctx context.Context, file string, db *database.DB) (summary Summary, err error) {
	archive, all, err := openArchive(file)
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	there, ours, err := migrate.Versions(ctx, db.Write)
	switch {
	case err != nil:
		return summary, err
	case all.Schema > ours:
		return summary, laterError(all.Schema, ours)
	case there > all.Schema:
		return summary, fmt.Errorf("the database has tables already, of version %d, and the file is of version %d: restore it into a database without any", there, all.Schema)
	case there > 0:
		if err = inTransaction(ctx, db, filling, func(tx pgx.Tx) error { return refuseUsed(ctx, tx) }); err != nil {
			return summary, err
		}
	}
	if err := migrate.Make(ctx, db.Write, all.Schema); err != nil {
		return summary, err
	}
	err = inTransaction(ctx, db, filling, func(tx pgx.Tx) error {
		if err := refuseUsed(ctx, tx); err != nil {
			return err
		}
		made, err := tablesOf(ctx, tx)
		if err != nil {
			return err
		}
		if err := sameTables(made, all.Tables); err != nil {
			return err
		}
		enable, err := disableTriggers(ctx, tx, made)
		if err != nil {
			return err
		}
		// The migrations have filled some.
		for _, t := range slices.Backward(made) {
			if _, err := tx.Exec(ctx, "DELETE FROM "+pgx.Identifier{t.Name}.Sanitize()); err != nil {
				return err
			}
		}
		for _, t := range all.Tables {
			var kept, stored lineSum
			err := readTable(archive, t, func(r io.Reader) error {
				_, err := tx.Conn().PgConn().CopyFrom(ctx, io.TeeReader(r, &kept), "COPY "+t.relation()+" FROM STDIN")
				return err
			})
			if err != nil {
				return err
			}
			if _, err := copyTable(ctx, tx, t, &stored); err != nil {
				return err
			}
			if stored.sum != kept.sum {
				return fmt.Errorf("%s: what is stored is not what the file holds", t.Name)
			}
		}
		if err := continueSequences(ctx, tx, made); err != nil {
			return err
		}
		if all.Schema >= followedSince {
			if _, err := tx.Exec(ctx, "SELECT audit_continue_transactions()"); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, enable)
		return err
	})
	if err != nil {
		return summary, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return summary, err
	}
	return Summary{Entries: all.entries(), Bytes: info.Size()}, migrate.Up(ctx, db.Write)
}

// followedSince is the version of the schema from which on somebody may follow the log: see models/following.
const followedSince = 22

var filling = pgx.TxOptions{IsoLevel: pgx.ReadCommitted}

// refuseUsed refuses a database with an organization, and keeps others from making one until the transaction ends.
// Tables without any are what a restore left that failed or was killed.
func refuseUsed(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "LOCK TABLE audit_organizations IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return err
	}
	var used bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM audit_organizations)").Scan(&used)
	if err == nil && used {
		err = errors.New("the database holds a log already: a backup is restored into a database without one")
	}
	return err
}

func sameTables(made, kept []table) error {
	if !slices.EqualFunc(made, kept, func(a, b table) bool { return a.Name == b.Name && slices.Equal(a.Columns, b.Columns) }) {
		return errors.New("the file has other tables or columns than its version of the schema")
	}
	return nil
}

// disableTriggers switches off those of the tables' triggers that are no constraints, and returns what switches them on
// again as they were.
func disableTriggers(ctx context.Context, tx pgx.Tx, tables []table) (enable string, err error) {
	var disable, again sql.NullString
	err = tx.QueryRow(ctx, `
SELECT string_agg(format('ALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname), ';'),
	string_agg(format('ALTER TABLE %s ENABLE %s TRIGGER %I', t.tgrelid::regclass,
		CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, t.tgname), ';')
FROM unnest($1::text[]) AS name JOIN pg_trigger AS t ON t.tgrelid = to_regclass(name)
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'`, namesOf(tables)).Scan(&disable, &again)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, disable.String)
	return again.String, err
}

// continueSequences lets the numbers that tables give go on where those in them end.
func continueSequences(ctx context.Context, tx pgx.Tx, tables []table) error {
	rows, err := tx.Query(ctx, `
SELECT format('SELECT setval(%L, GREATEST((SELECT MAX(%I) FROM %s), 1))', pg_get_serial_sequence(a.attrelid::regclass::text, a.attname), a.attname, a.attrelid::regclass)
FROM unnest($1::text[]) AS name JOIN pg_attribute AS a ON a.attrelid = to_regclass(name) AND a.attnum > 0 AND a.attidentity <> ''`, namesOf(tables))
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func namesOf(tables []table) (names []string) {
	for _, t := range tables {
		names = append(names, t.Name)
	}
	return names
}
