package benchdata_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// Benchmarks of recording, on a log of ROWS entries (1,000,000) with all its indexes, beside the
// fastest way known to write the same rows into the same table. Both run in turn, a round each, so
// that whatever else the machine does hits both alike.
// `make bench-recording` runs them with a PostgreSQL that writes to disk what it commits.

// benchLog is a large log that benchmarks may write to.
type benchLog struct {
	*database.DB
	url    string
	events []audit.Event // of entities and actors that this month of the log knows
	rows   [][]any       // the entries of these events, in the order of rowColumns
	at     atomic.Int64  // a time that goes on with every event, in microseconds
}

const rowColumns = "org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, entity_name, actor_id, actor_key, " +
	"actor_name, actor_email, source, ip, user_agent, request_id, api_key_id, api_key_name, url, metadata"

// knownEvents is how many different events the benchmarks take turns with.
const knownEvents = 20_000

func eachLog(b *testing.B, run func(b *testing.B, log *benchLog)) {
	rows := 1_000_000
	if text := os.Getenv("ROWS"); text != "" {
		var err error
		if rows, err = strconv.Atoi(text); err != nil || rows < knownEvents {
			b.Fatalf("ROWS=%s: a number of at least %d is needed", text, knownEvents)
		}
	}
	spec := benchdata.Spec{Rows: rows, Seed: 1, Until: time.Now()}
	b.Run("sqlite", func(b *testing.B) {
		folder := filepath.Join("..", "..", "data", "bench")
		kept, err := benchdata.KeepSQLite(b.Context(), folder, spec, nil)
		if err != nil {
			b.Fatal(err)
		}
		run(b, openLog(b, kept))
	})
	b.Run("postgres", func(b *testing.B) {
		server := os.Getenv("TEST_DATABASE_URL")
		if server == "" {
			b.Fatal("this benchmark needs PostgreSQL: run make bench-recording or set TEST_DATABASE_URL")
		}
		kept, err := benchdata.KeepPostgres(b.Context(), server, spec, nil)
		if err != nil {
			b.Fatal(err)
		}
		run(b, openLog(b, kept))
	})
}

func openLog(b *testing.B, kept benchdata.Kept) *benchLog {
	b.Helper()
	url, remove, err := kept.Copy(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := remove(context.Background()); err != nil {
			b.Error(err)
		}
	})
	db, err := database.Open(b.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	log := &benchLog{DB: db, url: url}
	log.at.Store(int64(models.MicrosOf(kept.Spec.Until)))
	before := models.MicrosOf(kept.Spec.Until)
	for n := range knownEvents {
		log.events = append(log.events, kept.Spec.Event(kept.Spec.Rows-1-n))
	}
	for chunk := range slices.Chunk(log.events, 1000) {
		for i := range chunk {
			chunk[i] = log.next(chunk[i])
		}
		if _, err := audit.RecordAll(b.Context(), db.Write, chunk); err != nil {
			b.Fatal(err)
		}
	}
	found, err := db.Read.WithContext(b.Context()).Raw("SELECT "+rowColumns+" FROM audit_entries WHERE occurred_at > ? ORDER BY occurred_at", before).Rows()
	if err != nil {
		b.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		row := make([]any, strings.Count(rowColumns, ",")+1)
		targets := make([]any, len(row))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := found.Scan(targets...); err != nil {
			b.Fatal(err)
		}
		log.rows = append(log.rows, row)
	}
	if err := found.Err(); err != nil || len(log.rows) != knownEvents {
		b.Fatalf("%d rows to write again: %v", len(log.rows), err)
	}
	return log
}

// next is e, happening a moment after the last one.
func (l *benchLog) next(e audit.Event) audit.Event {
	e.OccurredAt = time.UnixMicro(l.at.Add(1))
	return e
}

// nextRows are n entries that happen after the last ones.
func (l *benchLog) nextRows(n int) [][]any {
	rows := make([][]any, n)
	for i := range rows {
		at := models.Micros(l.at.Add(1))
		rows[i] = slices.Clone(l.rows[i%len(l.rows)])
		id := models.NewEntryID(at)
		if rows[i][1], rows[i][2], rows[i][3] = id[:], int64(at), int64(at); l.Write.Name() == "postgres" {
			rows[i][1] = [16]byte(id)
		}
	}
	return rows
}

// way is one way to write n entries. It makes what it needs, and answers what is to be timed.
type way func(n int) (run func() error)

// compare times two ways of writing n entries in turn; "ratio" is how the rate of ours compares to
// the other's, which is called by its name.
func (l *benchLog) compare(b *testing.B, n int, ours, other way, otherName string) {
	var ratios, oursTook, otherTook []float64
	timed := func(w way) float64 {
		run := w(n)
		runtime.GC()
		began := time.Now()
		if err := run(); err != nil {
			b.Fatal(err)
		}
		return time.Since(began).Seconds()
	}
	for round := 0; b.Loop(); round++ {
		var a, o float64
		if round%2 == 0 {
			a = timed(ours)
			o = timed(other)
		} else {
			o = timed(other)
			a = timed(ours)
		}
		ratios, oursTook, otherTook = append(ratios, o/a), append(oursTook, a), append(otherTook, o)
	}
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(float64(n)/median(oursTook), "ours/s")
	b.ReportMetric(float64(n)/median(otherTook), otherName+"/s")
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// each runs work n times in all, on some goroutines.
func each(goroutines, n int, work func(goroutine, i int) error) error {
	var next atomic.Int64
	errs := make([]error, goroutines)
	var running sync.WaitGroup
	for g := range goroutines {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[g] == nil; i = int(next.Add(1)) - 1 {
				errs[g] = work(g, i)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// insertSQL writes n rows, with the placeholders of SQLite.
func insertSQL(n int) string {
	row := "(?" + strings.Repeat(", ?", strings.Count(rowColumns, ",")) + ")"
	return "INSERT INTO audit_entries (" + rowColumns + ") VALUES " + row + strings.Repeat(", "+row, n-1)
}

// One event in a transaction of its own, four clients, beside the bare INSERT between BEGIN and
// COMMIT.
func BenchmarkRecord(b *testing.B) {
	const clients, events = 4, 1000
	eachLog(b, func(b *testing.B, log *benchLog) {
		ours := func(n int) func() error {
			return func() error {
				return each(clients, n, func(_, i int) error {
					return log.Write.Transaction(func(tx *gorm.DB) error {
						_, err := audit.Record(b.Context(), tx, log.next(log.events[i]))
						return err
					})
				})
			}
		}
		log.compare(b, events, ours, log.insertEach(b, clients), "insert")
	})
}

// What recording pays for what the consumers of a server keep beside the log: one event in a transaction of its own and the Batcher,
// while consumers follow, beside the same while none does. They have caught up before each run.
func BenchmarkFollowed(b *testing.B) {
	const clients = 4
	eachLog(b, func(b *testing.B, log *benchLog) {
		batcher := log.batcher(b)
		for _, test := range []struct {
			name   string
			events int
			way    way
		}{
			{"one", 5000, func(n int) func() error {
				return func() error {
					return each(clients, n, func(_, i int) error {
						return log.Write.Transaction(func(tx *gorm.DB) error {
							_, err := audit.Record(b.Context(), tx, log.next(log.events[i%knownEvents]))
							return err
						})
					})
				}
			}},
			{"batcher", 50_000, log.through(b, batcher)},
		} {
			b.Run(test.name, func(b *testing.B) {
				caughtUp := func(n int) func() error { // so that what follows from catching up hits both alike
					if err := benchdata.CatchUp(b.Context(), log.DB); err != nil {
						b.Fatal(err)
					}
					return test.way(n)
				}
				followed := func(n int) func() error {
					run := caughtUp(n)
					return func() error {
						stop, err := benchdata.Follow(b.Context(), log.DB, jobs.FollowerConfig{})
						if err != nil {
							return err
						}
						defer stop()
						return run()
					}
				}
				log.compare(b, test.events, followed, caughtUp, "alone")
			})
		}
	})
}

// insertEach inserts entries one by one, each between BEGIN and COMMIT: through pgx, or through
// database/sql on SQLite.
func (l *benchLog) insertEach(b *testing.B, clients int) way {
	statement := insertSQL(1)
	if l.Write.Name() == "postgres" {
		for n := range strings.Count(statement, "?") {
			statement = strings.Replace(statement, "?", "$"+strconv.Itoa(n+1), 1)
		}
		connections := l.connect(b, clients)
		return func(n int) func() error {
			rows := l.nextRows(n)
			return func() error {
				return each(clients, n, func(client, i int) error {
					tx, err := connections[client].Begin(b.Context())
					if err != nil {
						return err
					}
					if _, err := tx.Exec(b.Context(), statement, rows[i]...); err != nil {
						return errors.Join(err, tx.Rollback(b.Context()))
					}
					return tx.Commit(b.Context())
				})
			}
		}
	}
	pool := l.pool(b)
	return func(n int) func() error {
		rows := l.nextRows(n)
		return func() error {
			return each(clients, n, func(_, i int) error {
				tx, err := pool.BeginTx(b.Context(), nil)
				if err != nil {
					return err
				}
				if _, err := tx.ExecContext(b.Context(), statement, rows[i]...); err != nil {
					return errors.Join(err, tx.Rollback())
				}
				return tx.Commit()
			})
		}
	}
}

func (l *benchLog) pool(b *testing.B) *sql.DB {
	b.Helper()
	pool, err := l.Write.DB()
	if err != nil {
		b.Fatal(err)
	}
	return pool
}

// connect opens connections of pgx's own.
func (l *benchLog) connect(b *testing.B, n int) []*pgx.Conn {
	b.Helper()
	connections := make([]*pgx.Conn, n)
	for i := range connections {
		var err error
		if connections[i], err = pgx.Connect(b.Context(), l.url); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = connections[i].Close(context.Background()) })
	}
	return connections
}

// producers are the goroutines that record through a Batcher at the same time.
const producers = 512

// Events of 512 producers, each of which waits for its commit, beside COPY (PostgreSQL) or one
// prepared INSERT of many rows (SQLite).
func BenchmarkBatcher(b *testing.B) {
	const events = 20_000
	eachLog(b, func(b *testing.B, log *benchLog) {
		batcher := log.batcher(b)
		other, name := log.insertMany(b), "insert"
		if log.Write.Name() == "postgres" {
			other, name = log.copyIn(b), "copy"
		}
		log.compare(b, events, log.through(b, batcher), other, name)
		if stats := batcher.Stats(); stats.Batches > 0 {
			b.ReportMetric(float64(stats.Recorded)/float64(stats.Batches), "events/batch")
		}
	})
}

func (l *benchLog) batcher(b *testing.B) *audit.Batcher {
	b.Helper()
	batcher, err := audit.NewBatcher(l.Write, audit.BatcherConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := batcher.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return batcher
}

// through records through a Batcher.
func (l *benchLog) through(b *testing.B, batcher *audit.Batcher) way {
	return func(n int) func() error {
		return func() error {
			return each(producers, n, func(_, i int) error {
				_, err := batcher.Record(b.Context(), l.next(l.events[i%knownEvents]))
				return err
			})
		}
	}
}

// copyIn is one COPY.
func (l *benchLog) copyIn(b *testing.B) way {
	conn := l.connect(b, 1)[0]
	columns := strings.Split(rowColumns, ", ")
	return func(n int) func() error {
		rows := l.nextRows(n)
		return func() error {
			_, err := conn.CopyFrom(b.Context(), pgx.Identifier{"audit_entries"}, columns, pgx.CopyFromRows(rows))
			return err
		}
	}
}

// insertMany is one statement, prepared once, that inserts 500 rows at a time and commits them.
func (l *benchLog) insertMany(b *testing.B) way {
	const together = 500
	pool := l.pool(b)
	statement := insertSQL(together)
	return func(n int) func() error {
		rows := l.nextRows(n) // n is a multiple
		return func() error {
			prepared, err := pool.PrepareContext(b.Context(), statement)
			if err != nil {
				return err
			}
			defer prepared.Close()
			for chunk := range slices.Chunk(rows, together) {
				if _, err := prepared.ExecContext(b.Context(), slices.Concat(chunk...)...); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

// POST /api/v1/events with 100 events a request, eight clients, beside the Batcher.
func BenchmarkAPI(b *testing.B) {
	const events, perRequest, clients = 20_000, 100, 8
	eachLog(b, func(b *testing.B, log *benchLog) {
		clock := apptest.NewClock()
		clock.Advance(time.UnixMicro(log.at.Load()).Add(time.Minute).Sub(clock.Now()))
		server := apptest.StartAt(b, log.DB, clock, func(config *app.Config) { config.Log = slog.New(slog.DiscardHandler) })
		org, err := models.OrganizationByRef(b.Context(), log.Write, models.OrganizationRef{Slug: benchdata.Large})
		if err != nil {
			b.Fatal(err)
		}
		_, token, err := accounts.CreateAPIKey(b.Context(), log.Write, org.ID, "bench", accounts.ScopeWrite, "", 0)
		if err != nil {
			b.Fatal(err)
		}
		var known []audit.Event // of the key's organization, but what only Audit Logs itself may record
		for _, e := range log.events {
			if e.Organization == benchdata.Large && !e.Action.Reserved() {
				known = append(known, e)
			}
		}
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
		defer client.CloseIdleConnections()
		ours := func(n int) func() error {
			bodies := make([][]byte, n/perRequest)
			for i := range bodies {
				var of []audit.Event
				for j := range perRequest {
					of = append(of, log.next(known[(i*perRequest+j)%len(known)]))
				}
				var err error
				if bodies[i], err = json.Marshal(of); err != nil {
					b.Fatal(err)
				}
			}
			return func() error {
				return each(clients, len(bodies), func(_, i int) error {
					return post(b.Context(), client, server.URL+"/api/v1/events", token, bodies[i])
				})
			}
		}
		log.compare(b, events, ours, log.through(b, log.batcher(b)), "batcher")
	})
}

func post(ctx context.Context, client *http.Client, url, token string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}

// A million events through a Batcher: how much the resident memory of this process grows.
func BenchmarkBatcherMemory(b *testing.B) {
	const events, step = 1_000_000, 20_000
	eachLog(b, func(b *testing.B, log *benchLog) {
		record := log.through(b, log.batcher(b))
		log.rows = nil
		runtime.GC()
		before, grown := resident(b), 0
		for b.Loop() {
			for range events / step {
				if err := record(step)(); err != nil {
					b.Fatal(err)
				}
				grown = max(grown, resident(b)-before)
			}
		}
		b.ReportMetric(float64(grown)/(1<<20), "MB-grown")
		b.ReportMetric(events/(b.Elapsed().Seconds()/float64(b.N)), "events/s")
		b.ReportMetric(0, "ns/op")
	})
}

// resident is this process's memory in bytes.
func resident(b *testing.B) int {
	b.Helper()
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(status))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}
