package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// twoServers are two servers, each with its own pool, on one PostgreSQL database.
func twoServers(t *testing.T) (first, second *fixture) {
	url := databasetest.PostgresURL(t)
	return newFixture(t, databasetest.Open(t, url)), newFixture(t, databasetest.Open(t, url))
}

// runOut has the lease run out, as it does in time of a server that died.
func (f *fixture) runOut() {
	f.t.Helper()
	if err := f.db.Write.Exec("UPDATE audit_jobs SET leads_until = 1").Error; err != nil {
		f.t.Fatal(err)
	}
}

func TestOneServerCleansUpAndTheOtherTakesOver(t *testing.T) {
	firstServer, secondServer := twoServers(t)
	org := firstServer.organization("acme")
	firstServer.record("acme", 100*day, 5)
	first, second := firstServer.job(), secondServer.job()

	firstServer.lead(first)
	if leads, err := second.leader.lead(t.Context()); leads || err != nil {
		t.Fatalf("the second server leads as well: %v, %v", leads, err)
	}
	if err := second.runOnce(t.Context()); !errors.Is(err, errNotLeading) {
		t.Fatalf("the second server's run gives %v", err)
	}
	firstServer.wantEntries(org, 5)

	firstServer.runOut() // it has died
	secondServer.lead(second)
	if err := second.runOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	secondServer.wantEntries(org, 0)
	if err := first.runOnce(t.Context()); !errors.Is(err, errNotLeading) {
		t.Errorf("the first server goes on after another has taken over: %v", err)
	}
	if leads, _ := first.leader.lead(t.Context()); leads {
		t.Error("the first server leads again while the second does")
	}

	stopping, stop := context.WithCancel(t.Context()) // while it asks whether it leads
	stop()
	if _, err := second.leader.stillLeads(stopping); err == nil {
		t.Error("an answer to a question that was given up")
	}
	second.leader.release()
	if leads, err := first.leader.lead(t.Context()); !leads || err != nil {
		t.Errorf("the first server does not take over from one that stopped: %v, %v", leads, err)
	}
	first.leader.release()
	if leads, err := second.leader.stillLeads(t.Context()); leads || err != nil {
		t.Errorf("a server that has stopped still leads: %v, %v", leads, err)
	}
}

func TestALeaderGoesOnWhereNobodyHasTakenOver(t *testing.T) {
	server, _ := twoServers(t)
	job := server.job()
	server.lead(job)
	server.runOut()
	if leads, err := job.leader.stillLeads(t.Context()); !leads || err != nil {
		t.Errorf("it does not lead: %v, %v", leads, err)
	}
}

// Work is begun within leaderTrust of the last time the lease was extended, and given up after BatchTimeout; between runs
// the lease is extended every LeaderCheck.
func TestTheLeaseOutlastsABatch(t *testing.T) {
	server, _ := twoServers(t)
	job := server.job()
	server.lead(job)
	for name, extend := range map[string]func() (bool, error){
		"taken":    func() (bool, error) { return job.leader.lead(t.Context()) },
		"extended": func() (bool, error) { return job.leader.stillLeads(t.Context()) },
	} {
		server.runOut()
		if leads, err := extend(); !leads || err != nil {
			t.Fatalf("%s: %v, %v", name, leads, err)
		}
		var lasting float64
		err := server.db.Write.Raw("SELECT leads_until / 1e6 - extract(epoch FROM clock_timestamp())::float8 FROM audit_jobs").Scan(&lasting).Error
		if err != nil {
			t.Fatal(err)
		}
		least := leaderTrust + job.config.BatchTimeout
		if got := time.Duration(lasting * float64(time.Second)); got < least || got > least+job.config.LeaderCheck {
			t.Errorf("%s, it lasts %s", name, got)
		}
	}
}

// Behind a pooler a lock of the session would stay with a connection of the pooler's.
func TestLeadingKeepsNoConnectionAndNoLock(t *testing.T) {
	firstServer, secondServer := twoServers(t)
	firstServer.lead(firstServer.job())
	second := secondServer.job()
	for range 3 {
		if leads, err := second.leader.lead(t.Context()); leads || err != nil {
			t.Fatalf("the second server leads: %v, %v", leads, err)
		}
	}
	for _, server := range []*fixture{firstServer, secondServer} {
		pool, err := server.db.Write.DB()
		if err != nil {
			t.Fatal(err)
		}
		if inUse := pool.Stats().InUse; inUse != 0 {
			t.Errorf("%d connections are in use", inUse)
		}
	}
	var locks int
	err := firstServer.db.Write.Raw(`SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid <= 2
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&locks).Error
	if err != nil || locks != 0 {
		t.Errorf("%d advisory locks are held: %v", locks, err)
	}
}
