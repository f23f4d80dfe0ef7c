package databasetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
)

// nodesOf are those of Citus, the coordinator, which is asked for them, first.
func (s *postgresServer) nodesOf(coordinator *sql.DB) ([]node, error) {
	rows, err := coordinator.Query("SELECT nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var nodes []node
	for rows.Next() {
		var n node
		if err := rows.Scan(&n.host, &n.port); err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	if len(nodes) < 2 {
		return nil, errors.New("the coordinator has no workers: see docs/citus.md")
	}
	for i := range nodes {
		if nodes[i].admin, err = s.open(net.JoinHostPort(nodes[i].host, strconv.Itoa(nodes[i].port))); err != nil {
			return nil, err
		}
	}
	return nodes, rows.Err()
}

// joinNodes makes the databases of a name on the nodes, of which there are none without Citus, one of Citus.
func (s *postgresServer) joinNodes(name string) error {
	if len(s.nodes) == 1 {
		return nil
	}
	ctx := context.Background()
	for _, n := range s.nodes {
		if err := n.in(ctx, s.url, name, "CREATE EXTENSION citus"); err != nil {
			return err
		}
	}
	coordinator := s.nodes[0]
	for i, n := range s.nodes {
		join := "citus_add_node"
		if i == 0 {
			join = "citus_set_coordinator_host"
		}
		if err := coordinator.in(ctx, s.url, name, fmt.Sprintf("SELECT %s('%s', %d)", join, n.host, n.port)); err != nil {
			return err
		}
	}
	return nil
}

// in runs a statement in a database of the node.
func (n node) in(ctx context.Context, server *url.URL, name, statement string) error {
	address := *server
	address.Host, address.Path = net.JoinHostPort(n.host, strconv.Itoa(n.port)), "/"+name
	db, err := sql.Open("pgx", address.String())
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// rename gives a template its name. Nobody can connect to it: neither it nor what it is copied to may be in use, and
// Citus looks after every database that somebody connects to.
func (s *postgresServer) rename(ctx context.Context, from, to string) error {
	for _, statement := range []string{
		"ALTER DATABASE %[1]s ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%[1]s'",
		"DROP DATABASE IF EXISTS %[2]s",
		"ALTER DATABASE %[1]s RENAME TO %[2]s",
	} {
		if err := s.each(ctx, statement, from, to); err != nil {
			return err
		}
	}
	return nil
}
