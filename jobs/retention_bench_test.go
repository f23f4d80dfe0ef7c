package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// BenchmarkRetention deletes a hundred thousand expired entries out of twice as many, with the
// batches of production, and then finds nothing more to do.
func BenchmarkRetention(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *database.DB{"sqlite": databasetest.SQLite, "postgres": databasetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			const expired = 100_000
			var deleting, idle time.Duration
			for b.Loop() {
				b.StopTimer()
				f := newFixture(b, open(b))
				org := f.organization("acme")
				f.fill(org, 100*day, expired)
				f.fill(org, 10*day, expired)
				job, err := NewRetention(f.store, settings.Settle, newLog(f), RetentionConfig{})
				if err != nil {
					b.Fatal(err)
				}
				f.lead(job)
				b.StartTimer()
				started := time.Now()
				if err := job.runOnce(b.Context()); err != nil {
					b.Fatal(err)
				}
				deleting += time.Since(started)
				started = time.Now()
				if err := job.runOnce(b.Context()); err != nil {
					b.Fatal(err)
				}
				idle += time.Since(started)
				b.StopTimer()
				if left := f.rows("audit_entries", org); left != expired {
					b.Fatalf("%d entries are left", left)
				}
				job.leader.release()
				b.StartTimer()
			}
			b.ReportMetric(float64(expired)*float64(b.N)/deleting.Seconds(), "entries/s")
			b.ReportMetric(float64(idle.Microseconds())/float64(b.N)/1000, "idle-ms")
		})
	}
}

// fill stores n entries that occurred age ago or a little later, without going through Record.
func (f *fixture) fill(org models.Organization, age time.Duration, n int) {
	f.t.Helper()
	from := models.MicrosOf(f.now.Add(-age))
	entries := make([]models.Entry, n)
	for i := range entries {
		at := from + models.Micros(i*1000)
		entries[i] = models.Entry{
			OrgID: org.ID, ID: models.NewEntryID(at), OccurredAt: at, RecordedAt: at,
			Action: "service:update", EntityType: "service", EntityID: fmt.Sprint("srv_", i%1000),
			ActorID: "usr_1", ActorKey: "ada", ActorName: "Ada",
			Metadata: `{"changes":{"replicas":{"before":1,"after":2}},"service_name":"checkout"}`,
		}
	}
	if err := f.store.Writer(f.t.Context()).CreateInBatches(entries, 1000).Error; err != nil {
		f.t.Fatal(err)
	}
}
