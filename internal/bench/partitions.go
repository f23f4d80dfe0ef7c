package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// The log with and without monthly partitions of its entries, on PostgreSQL.

const (
	// partitionAsked is how often each question is asked.
	partitionAsked = 60
	// spread is how many days a log is moved into the past for each copy of it that makes a larger one.
	spread = 68
	// recordedBatches are written, of batchSize events each.
	recordedBatches, batchSize = 40, 500
)

// measurePartitions asks the same questions of one table and of monthly partitions.
func measurePartitions(ctx context.Context, b *bench) (markdown string, err error) {
	base := min(b.Rows, 10_000_000)
	kept, err := b.postgres(ctx, base)
	if err != nil {
		return "", err
	}
	url, remove, err := kept.Copy(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, remove(context.WithoutCancel(ctx))) }()
	kept.URL = url
	log, err := openLog(ctx, kept)
	if err != nil {
		return "", err
	}
	defer log.Close()
	if err := log.narrow(ctx, b.Rows/base); err != nil {
		return "", err
	}
	whole, err := log.measure(ctx)
	if err != nil {
		return "", err
	}
	months, err := log.partition(ctx)
	if err != nil {
		return "", err
	}
	parts, err := log.measure(ctx)
	if err != nil {
		return "", err
	}
	return describePartitions(b, months, whole, parts), nil
}

// indexed is the schema of the entries' indexes.
const indexed = `ALTER TABLE audit_entries ADD PRIMARY KEY (org_id, id);
CREATE INDEX ON audit_entries (org_id, action, id);
CREATE INDEX ON audit_entries (org_id, entity_type, action, id);
CREATE INDEX ON audit_entries (org_id, entity_type, entity_id, id);
CREATE INDEX ON audit_entries (org_id, actor_id, action, id);
CREATE INDEX ON audit_entries (org_id, actor_key, actor_id, id)`

// narrow makes the log times as long, without what is in metadata and user agents, which would fill the
// disk and nothing else.
func (l *logUnderTest) narrow(ctx context.Context, times int) error {
	statements := []string{
		"SET maintenance_work_mem = '1GB'", "SET max_parallel_maintenance_workers = 2",
		"DROP VIEW audit_log", // it reads the table that goes
		"ALTER TABLE audit_entries RENAME TO filled",
		"CREATE UNLOGGED TABLE audit_entries (LIKE filled INCLUDING DEFAULTS)",
	}
	for n := range times {
		before := fmt.Sprintf("occurred_at - %d::bigint * 86400000000", n*spread)
		statements = append(statements, fmt.Sprintf(`INSERT INTO audit_entries (org_id, id, occurred_at, recorded_at, action, entity_type,
	entity_id, entity_name, actor_id, actor_key, actor_name, actor_email, source, ip, request_id)
SELECT org_id, (lpad(to_hex((%[1]s) / 1000), 12, '0') || substr(replace(id::text, '-', ''), 13))::uuid, %[1]s, %[1]s, action, entity_type,
	entity_id, entity_name, actor_id, actor_key, actor_name, actor_email, source, ip, request_id FROM filled`, before))
	}
	statements = append(statements, "DROP TABLE filled")
	statements = append(statements, strings.Split(indexed, ";\n")...)
	return l.exec(ctx, append(statements, "VACUUM (ANALYZE) audit_entries")...)
}

// partition makes monthly partitions of the entries, and says how many.
func (l *logUnderTest) partition(ctx context.Context) (months int, err error) {
	var first, last models.EntryID
	row := l.Write.WithContext(ctx).Raw("SELECT MIN(occurred_at), MAX(occurred_at) FROM audit_entries").Row()
	var from, to models.Micros
	if err := row.Scan(&from, &to); err != nil {
		return 0, err
	}
	statements := []string{
		"ALTER TABLE audit_entries RENAME TO whole",
		"CREATE TABLE audit_entries (LIKE whole INCLUDING DEFAULTS) PARTITION BY RANGE (id)",
	}
	at := from.Time()
	for at = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC); !at.After(to.Time()); months++ {
		next := at.AddDate(0, 1, 0)
		first, last = models.FirstEntryID(models.MicrosOf(at)), models.FirstEntryID(models.MicrosOf(next))
		statements = append(statements, fmt.Sprintf("CREATE UNLOGGED TABLE audit_entries_%s PARTITION OF audit_entries FOR VALUES FROM ('%s') TO ('%s')",
			at.Format("2006_01"), first, last))
		at = next
	}
	var dropped []struct{ Indexname string }
	if err := l.Write.WithContext(ctx).Raw("SELECT indexname FROM pg_indexes WHERE tablename = 'audit_entries' AND indexname NOT LIKE '%pkey%'").Scan(&dropped).Error; err != nil {
		return 0, err
	}
	for _, index := range dropped {
		statements = append(statements, "DROP INDEX "+index.Indexname)
	}
	statements = append(statements, "INSERT INTO audit_entries SELECT * FROM whole", "DROP TABLE whole")
	statements = append(statements, strings.Split(indexed, ";\n")...)
	return months, l.exec(ctx, append(statements, "VACUUM (ANALYZE) audit_entries")...)
}

// exec runs statements on one connection.
func (l *logUnderTest) exec(ctx context.Context, statements ...string) error {
	pool, err := l.Write.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, statement := range statements {
		fmt.Fprintf(os.Stderr, "\r\033[K%.70s", strings.Join(strings.Fields(statement), " "))
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	return nil
}

// partitionFigures is what was measured of one form of the table.
type partitionFigures struct {
	names     []string
	p50       []time.Duration
	recorded  float64 // events a second, in batches
	one       times   // one event in a transaction of its own
	deleted   float64 // entries a second, in batches as the clean-up does
	indexSize int64
}

func (l *logUnderTest) measure(ctx context.Context) (f partitionFigures, err error) {
	// The connections have statements of the table as it was.
	if err := l.Close(); err != nil {
		return f, err
	}
	again, err := database.Open(ctx, l.url, slog.New(slog.DiscardHandler))
	if err != nil {
		return f, err
	}
	l.DB = again
	store, err := again.Store(nil)
	if err != nil {
		return f, err
	}
	l.store = entries.NewLog(store)
	org, err := models.OrganizationByRef(ctx, l.store.Reader(ctx), models.OrganizationRef{Slug: benchdata.Large})
	if err != nil {
		return f, err
	}
	for _, q := range l.spec.Questions(benchdata.Large) {
		var took []time.Duration
		for n := range partitionAsked + 3 {
			began := time.Now()
			if _, err := q.Ask(ctx, l.store, org); err != nil {
				return f, fmt.Errorf("%s: %w", q.Name, err)
			}
			if n >= 3 {
				took = append(took, time.Since(began))
			}
		}
		f.names, f.p50 = append(f.names, q.Name), append(f.p50, timesOf(took).p50)
	}
	next := l.spec.Rows
	event := func() audit.Event {
		next++
		e := l.spec.Event(next)
		e.OccurredAt = l.spec.Until
		return e
	}
	began := time.Now()
	for range recordedBatches {
		events := make([]audit.Event, batchSize)
		for i := range events {
			events[i] = event()
		}
		if _, err := audit.RecordAll(ctx, l.Write, events); err != nil {
			return f, err
		}
	}
	f.recorded = recordedBatches * batchSize / time.Since(began).Seconds()
	var took []time.Duration
	for range timesAsked {
		e, began := event(), time.Now()
		if _, err := audit.Record(ctx, l.Write, e); err != nil {
			return f, err
		}
		took = append(took, time.Since(began))
	}
	f.one = timesOf(took)

	expired := l.store.ExpiredEntries(models.Cleanup{OrgID: org.ID}, models.EntryID{}, models.FirstEntryID(models.MicrosOf(l.spec.Until)))
	began = time.Now()
	for range 20 {
		if _, err := expired.DeleteBatch(ctx, 10_000); err != nil {
			return f, err
		}
	}
	f.deleted = float64(expired.Cleanup().Deleted) / time.Since(began).Seconds()
	err = l.Read.WithContext(ctx).Raw(`SELECT SUM(pg_indexes_size(c.oid)) FROM pg_class c WHERE c.relname LIKE 'audit_entries%' AND c.relkind = 'r'`).Scan(&f.indexSize).Error
	return f, err
}

func describePartitions(b *bench, months int, whole, parts partitionFigures) string {
	var report strings.Builder
	fmt.Fprintf(&report, `## Monthly partitions

`+"`make bench SECTIONS=partitions ROWS=%d`"+`: the questions asked of %s entries on PostgreSQL (metadata and user agents left out), of one table and of one with %d partitions by month of `+"`id`"+`, of the organization with nine entries of ten. Medians of %d, in milliseconds. %s

| | one table | partitions | ratio |
|---|--:|--:|--:|
`, b.Rows, number(b.Rows), months, partitionAsked, machine())
	var questions strings.Builder
	logs := 0.0
	for i, name := range whole.names {
		ratio := float64(parts.p50[i]) / float64(whole.p50[i])
		logs += math.Log(ratio)
		fmt.Fprintf(&questions, "| %s | %s | %s | %.2f |\n", name, ms(whole.p50[i]), ms(parts.p50[i]), ratio)
	}
	fmt.Fprintf(&report, "| **all questions, geometric mean** | | | **%.2f** |\n", math.Exp(logs/float64(len(whole.names))))
	fmt.Fprintf(&report, "| one event recorded | %s | %s | %.2f |\n", ms(whole.one.p50), ms(parts.one.p50), float64(parts.one.p50)/float64(whole.one.p50))
	for _, rate := range []struct {
		name         string
		whole, parts float64
	}{
		{fmt.Sprintf("events recorded a second, %d at a time", batchSize), whole.recorded, parts.recorded},
		{"entries deleted a second, as the clean-up does", whole.deleted, parts.deleted},
		{"indexes, MB", float64(whole.indexSize) / 1e6, float64(parts.indexSize) / 1e6},
	} {
		fmt.Fprintf(&report, "| %s | %s | %s | %.2f |\n", rate.name, number(int(rate.whole)), number(int(rate.parts)), rate.parts/rate.whole)
	}
	beginFolded(&report, "Every question")
	report.WriteString("| | one table | partitions | ratio |\n|---|--:|--:|--:|\n" + questions.String())
	endFolded(&report)
	return report.String()
}
