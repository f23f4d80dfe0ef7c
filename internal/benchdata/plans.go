package benchdata

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"gorm.io/gorm"
)

// Statement is one that was sent to a database.
type Statement struct {
	SQL  string
	Args []any
}

// Statements keeps what is asked of a database.
type Statements struct{ kept []Statement }

// KeepStatements begins to keep the questions asked through db, of one goroutine at a time.
func KeepStatements(db *gorm.DB) (*Statements, error) {
	s := &Statements{}
	keep := func(db *gorm.DB) {
		if db.DryRun { // a part of another statement
			return
		}
		s.kept = append(s.kept, Statement{db.Statement.SQL.String(), db.Statement.Vars})
	}
	if err := db.Callback().Query().After("*").Register("benchdata:keep", keep); err != nil {
		return nil, err
	}
	return s, db.Callback().Row().After("*").Register("benchdata:keep", keep)
}

// Take answers what was kept since the last time.
func (s *Statements) Take() []Statement {
	kept := s.kept
	s.kept = nil
	return kept
}

// Plan is what PostgreSQL did to answer a statement.
type Plan struct {
	Buffers int      // 8 kB each; one that was read twice counts twice
	Rows    int      // read from tables and indexes
	Scanned []string // tables that were read from one end to the other, or as far as was wanted
	Text    string   // the whole plan
}

// ExplainPostgres runs a statement and answers how. db is a connection or a transaction.
func ExplainPostgres(ctx context.Context, db *gorm.DB, s Statement) (Plan, error) {
	pool := db.WithContext(ctx).Statement.ConnPool
	rows, err := pool.QueryContext(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+s.SQL, s.Args...)
	if err != nil {
		return Plan{}, fmt.Errorf("explain %s: %w", s.SQL, err)
	}
	defer rows.Close()
	var text string
	for rows.Next() {
		if err := rows.Scan(&text); err != nil {
			return Plan{}, err
		}
	}
	if err := rows.Err(); err != nil {
		return Plan{}, fmt.Errorf("explain %s: %w", s.SQL, err)
	}
	var explained []struct{ Plan planNode }
	if err := json.Unmarshal([]byte(text), &explained); err != nil || len(explained) != 1 {
		return Plan{}, fmt.Errorf("read a plan: %w", err)
	}
	plan := Plan{Text: s.SQL + "\n" + text}
	root := explained[0].Plan
	plan.Buffers = int(root.Hit + root.Read)
	plan.add(root)
	return plan, nil
}

type planNode struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Loops    float64 `json:"Actual Loops"`
	Hit      float64 `json:"Shared Hit Blocks"`
	Read     float64 `json:"Shared Read Blocks"`
	Plans    []planNode
}

func (p *Plan) add(node planNode) {
	if strings.Contains(node.Type, "Scan") && (node.Relation != "" || strings.HasPrefix(node.Type, "Bitmap Index")) {
		p.Rows += int((node.Rows + node.Removed) * node.Loops)
	}
	if node.Type == "Seq Scan" {
		p.Scanned = append(p.Scanned, node.Relation)
	}
	for _, below := range node.Plans {
		p.add(below)
	}
}

// ExplainSQLite answers how SQLite would answer a statement, a line a step.
func ExplainSQLite(ctx context.Context, db *gorm.DB, s Statement) (steps []string, err error) {
	rows, err := db.WithContext(ctx).Statement.ConnPool.QueryContext(ctx, "EXPLAIN QUERY PLAN "+s.SQL, s.Args...)
	if err != nil {
		return nil, fmt.Errorf("explain %s: %w", s.SQL, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, rows.Err()
}
