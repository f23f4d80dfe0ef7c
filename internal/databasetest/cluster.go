//go:build unix

package databasetest

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Cluster is one with Citus, of the test's own: servers that keep what they acknowledged whatever ends them, the
// coordinator first.
type Cluster []*Server

// CitusPrograms is the folder of initdb and postgres of a PostgreSQL that has Citus; empty where there is none.
func CitusPrograms() string { return os.Getenv("TEST_CITUS_BIN") }

// StartCluster makes a coordinator and two workers of CitusPrograms; they are stopped and removed when the test ends.
// settings are lines of the postgresql.conf of each.
func StartCluster(t testing.TB, settings ...string) Cluster {
	t.Helper()
	nodes := make(Cluster, 3)
	password := rand.Text() // the coordinator's, too, at the workers
	for i := range nodes {
		nodes[i] = newServerOf(t, CitusPrograms(), "")
		nodes[i].password = password
		err := nodes[i].create(append([]string{"shared_preload_libraries = 'citus'", "max_connections = 300",
			"max_prepared_transactions = 300", "citus.node_conninfo = 'sslmode=prefer'"}, settings...))
		if err != nil {
			t.Fatalf("create a PostgreSQL server with Citus: %v", err)
		}
	}
	return nodes
}

// Database makes a fresh, migrated database and gives its address at the coordinator.
func (c Cluster) Database(t testing.TB) string {
	t.Helper()
	address := c.EmptyDatabase(t)
	if err := migrate(address); err != nil {
		t.Fatalf("prepare the database: %v", err)
	}
	return address
}

// EmptyDatabase makes a database without any tables and gives its address at the coordinator.
func (c Cluster) EmptyDatabase(t testing.TB) string {
	t.Helper()
	name := "auditlogs_test_" + strings.ToLower(rand.Text()[:12])
	for _, node := range c {
		node.Exec(t, "CREATE DATABASE "+name)
		execAt(t, node.in(name), []string{"CREATE EXTENSION citus"})
	}
	join := []string{fmt.Sprintf("SELECT citus_set_coordinator_host('127.0.0.1', %d)", c[0].port)}
	for _, worker := range c[1:] {
		join = append(join, fmt.Sprintf("SELECT citus_add_node('127.0.0.1', %d)", worker.port))
	}
	execAt(t, c[0].in(name), join)
	return c[0].in(name)
}
