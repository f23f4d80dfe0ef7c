package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/models"
)

// floor is a prepared statement that answers a question.
type floor struct {
	run func() error
	ids []models.EntryID // of the rows it found last, where they are entries
}

// known reports whether better SQL may be known for a question than ours.
func known(q benchdata.Question) bool { return q.IsPage() && q.Query.Terms == nil }

// prepare makes the floor of a question.
func (f *floors) prepare(ctx context.Context, q benchdata.Question) (*floor, error) {
	if !known(q) {
		return f.asOurs(ctx, q)
	}
	page, err := f.log.store.Page(ctx, f.org, q.Query)
	if err != nil {
		return nil, err
	}
	// As few values of the sorted column as fill the page.
	for values := 1; ; values *= 2 {
		best, err := f.page(q, values)
		if err != nil {
			return nil, err
		}
		made, err := f.entries(ctx, best)
		if err != nil {
			return nil, err
		}
		if err := made.run(); err != nil {
			return nil, err
		}
		if len(made.ids) >= len(page.Entries) || values > 1000 {
			return made, nil
		}
	}
}

// same checks that the floor finds what we do.
func (f *floors) same(ctx context.Context, q benchdata.Question, found *floor) error {
	if !known(q) {
		return nil
	}
	page, err := f.log.store.Page(ctx, f.org, q.Query)
	if err != nil {
		return err
	}
	for i := range page.Entries {
		if i >= len(found.ids) || page.Entries[i].ID != found.ids[i] {
			return fmt.Errorf("the floor finds %d entries, others than the %d of ours from the %d. on", len(found.ids), len(page.Entries), i+1)
		}
	}
	return nil
}

// entries prepares a statement that answers with entries.
func (f *floors) entries(ctx context.Context, q query) (*floor, error) {
	made := &floor{}
	scan := func(rows interface {
		Next() bool
		Scan(...any) error
		Err() error
	}) error {
		made.ids = made.ids[:0]
		for rows.Next() {
			var e models.Entry
			if err := rows.Scan(&e.OrgID, &e.ID, &e.OccurredAt, &e.RecordedAt, &e.Action, &e.EntityType, &e.EntityID, &e.EntityName,
				&e.ActorID, &e.ActorKey, &e.ActorName, &e.ActorEmail, &e.Source, &e.URL); err != nil {
				return err
			}
			made.ids = append(made.ids, e.ID)
		}
		return rows.Err()
	}
	if f.postgres == nil {
		statement, err := f.conn.PrepareContext(ctx, q.sql)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.sql, err)
		}
		made.run = func() error {
			rows, err := statement.QueryContext(ctx, q.args...)
			if err != nil {
				return err
			}
			defer rows.Close()
			return scan(rows)
		}
		return made, nil
	}
	name, err := f.prepareOnPostgres(ctx, numbered(q.sql))
	if err != nil {
		return nil, err
	}
	made.run = func() error {
		rows, err := f.postgres.Query(ctx, name, q.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		return scan(rows)
	}
	return made, nil
}

// asOurs prepares the statements that we send: there is no better way known.
func (f *floors) asOurs(ctx context.Context, q benchdata.Question) (*floor, error) {
	f.log.kept.Take()
	if _, err := q.Ask(ctx, f.log.store, f.org); err != nil {
		return nil, err
	}
	var runs []func() error
	for _, s := range f.log.kept.Take() {
		if f.postgres == nil {
			statement, err := f.conn.PrepareContext(ctx, s.SQL)
			if err != nil {
				return nil, err
			}
			runs = append(runs, func() error {
				rows, err := statement.QueryContext(ctx, s.Args...)
				if err != nil {
					return err
				}
				defer rows.Close()
				return drain(rows)
			})
			continue
		}
		name, err := f.prepareOnPostgres(ctx, s.SQL)
		if err != nil {
			return nil, err
		}
		runs = append(runs, func() error {
			rows, err := f.postgres.Query(ctx, name, s.Args...)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				if _, err := rows.Values(); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
	return &floor{run: func() error {
		for _, run := range runs {
			if err := run(); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

func (f *floors) prepareOnPostgres(ctx context.Context, sql string) (name string, err error) {
	name = "floor_" + rand.Text() // the connection may have those of other organizations
	if _, err := f.postgres.Prepare(ctx, name, sql); err != nil {
		return "", fmt.Errorf("%s: %w", sql, err)
	}
	return name, nil
}

func drain(rows *sql.Rows) error {
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(any)
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// numbered gives the values of a statement PostgreSQL's names.
func numbered(sql string) string {
	var named strings.Builder
	n := 0
	for _, r := range sql {
		if r == '?' {
			n++
			_, _ = named.WriteString("$" + strconv.Itoa(n))
		} else {
			_, _ = named.WriteRune(r)
		}
	}
	return named.String()
}
