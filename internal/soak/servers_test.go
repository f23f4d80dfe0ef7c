//go:build unix

package soak

import (
	"math/rand/v2"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// servers are what stops: one PostgreSQL, or the nodes of a cluster with Citus, the coordinator first.
type servers []*databasetest.Server

func startServers(t *testing.T) (s servers, databaseURL string) {
	t.Helper()
	if databasetest.CitusPrograms() != "" {
		cluster := databasetest.StartCluster(t)
		return servers(cluster), cluster.Database(t)
	}
	server := databasetest.StartServer(t)
	return servers{server}, server.Database(t)
}

// stop stops one of them: PostgreSQL in any way, of a cluster one node after the other and never in order.
func (s servers) stop(n int, chance *rand.Rand) *databasetest.Server {
	server := s[n%len(s)]
	switch way := chance.IntN(3); {
	case len(s) > 1 || way == 0:
		server.Kill()
	case way == 1:
		server.Stop(databasetest.Immediate)
	default:
		server.Stop(databasetest.Fast)
	}
	return server
}

// prepared makes sure that whichever node of a cluster is stopped, it has entries to lose.
func (s servers) prepared(t *testing.T, databaseURL string) {
	t.Helper()
	if len(s) == 1 {
		return
	}
	var workers int
	within(t, databaseURL, func(db *database.DB) error {
		return db.Write.Raw(`SELECT COUNT(DISTINCT placement.groupid) FROM audit_organizations
			JOIN pg_dist_placement AS placement ON shardid = get_shard_id_for_distribution_column('audit_entries', id)`).Scan(&workers).Error
	})
	if workers != len(s)-1 {
		t.Fatalf("the organizations are at %d workers of %d", workers, len(s)-1)
	}
}

// recovered ends what the killed nodes of a cluster have left half way between prepared and committed, as Citus does
// by itself once a minute. What the coordinator has committed is then committed everywhere.
func (s servers) recovered(t *testing.T, databaseURL string) {
	t.Helper()
	if len(s) == 1 {
		return
	}
	var transactions int
	within(t, databaseURL, func(db *database.DB) error {
		return db.Write.Raw("SELECT recover_prepared_transactions()").Scan(&transactions).Error
	})
	t.Logf("the last kills have left %d prepared transactions", transactions)
}

// managed tells a cluster of a table of the application's, so that Citus commits changes of it together with
// those at a worker, or neither.
func managed(tx *gorm.DB, table string) error {
	if databasetest.CitusPrograms() == "" {
		return nil
	}
	return tx.Exec("SELECT citus_add_local_table_to_metadata(?)", table).Error
}
