package jobs

import (
	"errors"
	"testing"

	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// twoServers are two servers, each with its own pool, on one PostgreSQL database.
func twoServers(t *testing.T) (first, second *fixture) {
	url := databasetest.PostgresURL(t)
	return newFixture(t, databasetest.Open(t, url)), newFixture(t, databasetest.Open(t, url))
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

	// The first server dies: its connection ends without a word.
	var pid int
	connection := first.leader.(*postgresLeader).conn
	if err := connection.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	var ended bool
	err := secondServer.store.Writer(t.Context()).Raw("SELECT pg_terminate_backend(?, 10000)", pid).Scan(&ended).Error
	if err != nil || !ended {
		t.Fatalf("end the first server's connection: %v, %v", ended, err)
	}

	secondServer.lead(second)
	if err := second.runOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	secondServer.wantEntries(org, 0)
	if err := first.runOnce(t.Context()); !errors.Is(err, errNotLeading) {
		t.Errorf("the first server goes on after it lost the lock: %v", err)
	}
	if leads, _ := first.leader.lead(t.Context()); leads {
		t.Error("the first server leads again while the second does")
	}

	second.leader.release()
	if leads, err := first.leader.lead(t.Context()); !leads || err != nil {
		t.Errorf("the first server does not take over from one that stopped: %v, %v", leads, err)
	}
}

func TestALockLostOnALivingConnectionIsNoticed(t *testing.T) {
	firstServer, _ := twoServers(t)
	first := firstServer.job()
	firstServer.lead(first)
	connection := first.leader.(*postgresLeader).conn
	if _, err := connection.ExecContext(t.Context(), "SELECT pg_advisory_unlock_all()"); err != nil {
		t.Fatal(err)
	}
	if leads, err := first.leader.stillLeads(t.Context()); leads || err != nil {
		t.Errorf("still leads: %v, %v", leads, err)
	}
}

func TestWaitingForTheLockKeepsNoConnection(t *testing.T) {
	firstServer, secondServer := twoServers(t)
	firstServer.lead(firstServer.job())
	second := secondServer.job()
	for range 3 {
		if leads, err := second.leader.lead(t.Context()); leads || err != nil {
			t.Fatalf("the second server leads: %v, %v", leads, err)
		}
	}
	pool, err := secondServer.db.Write.DB()
	if err != nil {
		t.Fatal(err)
	}
	if inUse := pool.Stats().InUse; inUse != 0 {
		t.Errorf("%d connections are in use", inUse)
	}
}
