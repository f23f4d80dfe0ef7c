//go:build unix

package citustest

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// BenchmarkCost compares a coordinator and two workers with one PostgreSQL, each with a log of ROWS entries (100,000)
// that writes to disk what it commits. Both are measured in turn, a round each. make bench-citus runs it.
func BenchmarkCost(b *testing.B) {
	spec := benchdata.Spec{Rows: 100_000, Seed: 1, Until: time.Now()}
	if text := os.Getenv("ROWS"); text != "" {
		var err error
		if spec.Rows, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	settings := []string{"shared_buffers = 512MB", "max_wal_size = 4GB"}
	one := fill(b, databasetest.StartServer(b, settings...).Database(b), spec)
	cluster := fill(b, databasetest.StartCluster(b, settings...).Database(b), spec)

	for _, record := range []struct {
		name   string
		events int
		way    func(l *log, n int) error
	}{
		{"record/one client", 200, recordBy(1)},
		{"record/16 clients", 2000, recordBy(16)},
		{"batcher", 20_000, (*log).batch},
	} {
		b.Run(record.name, func(b *testing.B) {
			rate := func(took float64) float64 { return float64(record.events) / took }
			compare(b, one, cluster, rate, "events/s", func(l *log) error { return record.way(l, record.events) })
		})
	}
	for _, question := range spec.Questions(benchdata.Large) {
		if question.Further {
			continue
		}
		b.Run("page/"+question.Name, func(b *testing.B) {
			milliseconds := func(took float64) float64 { return took * 1000 }
			compare(b, one, cluster, milliseconds, "ms", func(l *log) error {
				_, err := question.Ask(b.Context(), l.entries, l.organization)
				return err
			})
		})
	}
}

// log is one that is filled, and recorded into.
type log struct {
	*database.DB
	spec         benchdata.Spec
	entries      *entries.Log
	organization models.Organization
	batcher      *audit.Batcher
	at           atomic.Int64 // a time that goes on with every event, in microseconds
}

func fill(b *testing.B, url string, spec benchdata.Spec) *log {
	b.Helper()
	l := &log{DB: databasetest.Open(b, url), spec: spec}
	l.at.Store(spec.Until.UnixMicro())
	if err := benchdata.Fill(b.Context(), l.DB, spec, nil); err != nil {
		b.Fatal(err)
	}
	store, err := l.Store(time.Now)
	if err != nil {
		b.Fatal(err)
	}
	l.entries = entries.NewLog(store)
	l.organization, err = models.OrganizationByRef(b.Context(), l.Write, models.OrganizationRef{Slug: benchdata.Large})
	if err != nil {
		b.Fatal(err)
	}
	if l.batcher, err = audit.NewBatcher(l.Write, audit.BatcherConfig{}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.batcher.Close(context.Background()) })
	return l
}

// next is the event n of the log, happening a moment after the last one.
func (l *log) next(n int) audit.Event {
	event := l.spec.Event(n % l.spec.Rows)
	event.OccurredAt = time.UnixMicro(l.at.Add(1))
	return event
}

// recordBy records one event in a transaction of its own, by so many clients at the same time.
func recordBy(clients int) func(l *log, n int) error {
	return func(l *log, n int) error {
		return each(clients, n, func(i int) error {
			return l.Write.Transaction(func(tx *gorm.DB) error {
				_, err := audit.Record(context.Background(), tx, l.next(i))
				return err
			})
		})
	}
}

// batch records through a Batcher, by 512 clients that wait for their commits.
func (l *log) batch(n int) error {
	return each(512, n, func(i int) error {
		_, err := l.batcher.Record(context.Background(), l.next(i))
		return err
	})
}

func each(clients, n int, work func(i int) error) error {
	var next atomic.Int64
	errs := make([]error, clients)
	var running sync.WaitGroup
	for c := range clients {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[c] == nil; i = int(next.Add(1)) - 1 {
				errs[c] = work(i)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// compare does the work in both logs in turn, and reports the median of each.
func compare(b *testing.B, one, cluster *log, of func(seconds float64) float64, unit string, work func(*log) error) {
	var took [2][]float64
	for b.Loop() {
		for i, l := range []*log{one, cluster} {
			began := time.Now()
			if err := work(l); err != nil {
				b.Fatalf("%s: %v", []string{"one", "citus"}[i], err)
			}
			took[i] = append(took[i], time.Since(began).Seconds())
		}
	}
	for i, name := range []string{"one", "citus"} {
		slices.Sort(took[i])
		b.ReportMetric(of(took[i][len(took[i])/2]), strings.Join([]string{name, unit}, "-"))
	}
	b.ReportMetric(0, "ns/op")
}
