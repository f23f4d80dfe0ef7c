package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// floors answers questions by the best SQL known for each, written by somebody who knows what is in the
// log: which values there are, and whether a search finds much or little.
type floors struct {
	log      *logUnderTest
	org      models.Organization
	postgres *pgx.Conn // nil on SQLite
	conn     *sql.Conn // what postgres is within
	kinds    []entries.Kind
	names    map[string]string // of actors, folded, by ID
}

func newFloors(ctx context.Context, log *logUnderTest, org models.Organization) (*floors, error) {
	f := &floors{log: log, org: org, names: map[string]string{}}
	pool, err := log.Read.DB()
	if err != nil {
		return nil, err
	}
	if f.conn, err = pool.Conn(ctx); err != nil {
		return nil, err
	}
	if log.Read.Name() == "postgres" {
		err = f.conn.Raw(func(driver any) error {
			f.postgres = driver.(*stdlib.Conn).Conn()
			_, err := f.postgres.Exec(ctx, "SET plan_cache_mode = force_generic_plan")
			return err
		})
	}
	if err == nil {
		f.kinds, err = log.store.Kinds(ctx, org)
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	var actors []struct{ ActorID, ActorKey string }
	err = log.Read.WithContext(ctx).Raw("SELECT DISTINCT actor_id, actor_key FROM audit_actors WHERE org_id = ?", org.ID).Scan(&actors).Error
	for _, a := range actors {
		f.names[a.ActorID] = a.ActorKey
	}
	return f, err
}

func (f *floors) close() error {
	if f.postgres != nil {
		_, _ = f.postgres.Exec(context.Background(), "RESET plan_cache_mode")
	}
	return f.conn.Close()
}

// entryList is every column of a page.
const entryList = "org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, entity_name, actor_id, actor_key, " +
	"actor_name, actor_email, source, url"

// query is a statement with ? for its values.
type query struct {
	sql  string
	args []any
}

func (q query) and(sql string, args ...any) query {
	return query{q.sql + " AND " + sql, slices.Concat(q.args, args)}
}

// read is how many rows a page takes: one more says whether there is a next one.
var read = strconv.Itoa(benchdata.PageSize + 1)

// run is the entries of one index run, as a page reads them.
func run(where query, order string) query {
	return query{"SELECT * FROM (SELECT " + entryList + " FROM audit_entries WHERE " + where.sql + " ORDER BY id " + order + " LIMIT " + read + ") AS run", where.args}
}

// union is the rows of several, one after the other.
func union(all []query) query {
	var parts []string
	var args []any
	for _, q := range all {
		parts, args = append(parts, q.sql), append(args, q.args...)
	}
	return query{strings.Join(parts, " UNION ALL "), args}
}

// merged is the first rows of several runs by ID.
func merged(runs []query, order string) query {
	if len(runs) == 1 {
		return runs[0]
	}
	all := union(runs)
	return query{"SELECT * FROM (" + all.sql + ") AS runs ORDER BY id " + order + " LIMIT " + read, all.args}
}

// page is the best SQL known for a page. values bounds how many values of the sorted column are read.
func (f *floors) page(question benchdata.Question, values int) query {
	q := question.Query
	base := query{"org_id = ?", []any{f.org.ID}}
	if !q.Ascending || q.Sort != "" || q.Cursor == nil {
		base = base.and("id >= ?", f.id(models.FirstEntryID(max(f.org.KeptSince(f.log.store.Now()), q.From))))
	}
	if q.To != 0 {
		base = base.and("id < ?", f.id(models.FirstEntryID(q.To)))
	}
	if q.EntityID != "" {
		base = base.and("entity_type = ? AND entity_id = ?", q.EntityType, q.EntityID)
	}
	switch {
	case q.Search == "":
	case question.Name == benchdata.ActionText:
		q.Actions = nil
		for _, kind := range f.kinds {
			if strings.Contains(kind.Action, q.Search) {
				q.Actions = append(q.Actions, kind.Action)
			}
		}
	case question.Sparse || question.Rare && f.org.Slug != benchdata.Large:
		return f.sought(q, base)
	default:
		sql, args := f.matching(q.Search)
		base = base.and(sql, args...)
	}
	order := "DESC"
	if q.Sort == "" || q.Sort == entries.SortTimestamp {
		if q.Ascending {
			order = "ASC"
		}
		return merged(f.runs(f.behind(base, q), q, nil), order)
	}
	var pages []query
	for i, value := range f.values(q) {
		if len(pages) == values {
			break
		}
		at := base
		if q.Cursor != nil && i == 0 && value == q.Cursor.Value {
			at = f.behind(base, q)
		}
		pages = append(pages, query{"SELECT * FROM (" + merged(f.runs(at, q, &value), order).sql + ") AS value", merged(f.runs(at, q, &value), order).args})
	}
	all := union(pages)
	return query{all.sql + " LIMIT " + read, all.args}
}

// behind leaves out what comes before the page.
func (f *floors) behind(base query, q entries.Query) query {
	switch {
	case q.Cursor == nil:
		return base
	case q.Ascending && q.Sort == "":
		return base.and("id > ?", f.id(q.Cursor.ID))
	default:
		return base.and("id < ?", f.id(q.Cursor.ID))
	}
}

// runs are the index runs that hold the entries the filters let through, of one value of the sorted
// column where there is one.
func (f *floors) runs(base query, q entries.Query, value *string) []query {
	order := "DESC"
	if q.Ascending && q.Sort == "" {
		order = "ASC"
	}
	wheres := []query{base}
	each := func(sql string, values [][]any) {
		if len(values) == 0 {
			return
		}
		var next []query
		for _, where := range wheres {
			for _, args := range values {
				next = append(next, where.and(sql, args...))
			}
		}
		wheres = next
	}
	list := func(values []string) (lists [][]any) {
		for _, value := range values {
			lists = append(lists, []any{value})
		}
		return lists
	}
	switch {
	case value == nil:
		each("action = ?", list(q.Actions))
	case q.Sort == entries.SortAction:
		each("action = ?", list([]string{*value}))
	case q.Sort == entries.SortEntityType:
		var kinds [][]any
		for _, kind := range f.kinds {
			if kind.EntityType == *value {
				kinds = append(kinds, []any{kind.EntityType, kind.Action})
			}
		}
		each("entity_type = ? AND action = ?", kinds)
	default:
		var actors [][]any
		for id, name := range f.names {
			if name == *value {
				actors = append(actors, []any{name, id})
			}
		}
		each("actor_key = ? AND actor_id = ?", actors)
	}
	if len(q.Actions) > 0 {
		each("actor_id = ?", list(q.Actors))
	} else {
		var actors [][]any
		for _, id := range q.Actors {
			actors = append(actors, []any{f.names[id], id})
		}
		each("actor_key = ? AND actor_id = ?", actors)
	}
	runs := make([]query, len(wheres))
	for i, where := range wheres {
		runs[i] = run(where, order)
	}
	return runs
}

// values are those of the sorted column from the page's beginning on.
func (f *floors) values(q entries.Query) (values []string) {
	switch q.Sort {
	case entries.SortUser:
		for _, name := range f.names {
			values = append(values, name)
		}
	default:
		for _, kind := range f.kinds {
			if q.Sort == entries.SortAction {
				values = append(values, kind.Action)
			} else {
				values = append(values, kind.EntityType)
			}
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if !q.Ascending {
		slices.Reverse(values)
	}
	return slices.DeleteFunc(values, func(value string) bool {
		return q.Cursor != nil && value != q.Cursor.Value && value < q.Cursor.Value == q.Ascending
	})
}

// matching is a search as a condition on the entries.
func (f *floors) matching(search string) (sql string, args []any) {
	id, name := "entity_id", "entity_name"
	if f.postgres != nil {
		id, name = `lower(entity_id COLLATE "C")`, `lower(entity_name COLLATE "C")`
	}
	pattern := "%" + strings.ReplaceAll(search, "_", `\_`) + "%"
	return "(" + id + ` LIKE ? ESCAPE '\' OR ` + name + ` LIKE ? ESCAPE '\' OR action LIKE ? ESCAPE '\')`, []any{pattern, pattern, pattern}
}

// sought is a search that finds little, through the index of entities.
func (f *floors) sought(q entries.Query, base query) query {
	if len(q.Actions) > 0 {
		base = base.and("action || '' = ? AND actor_id || '' = ?", q.Actions[0], q.Actors[0]) // not their index
	}
	found := query{"SELECT DISTINCT entity_type, entity_id FROM ", nil}
	short := len(q.Search) < 3
	switch {
	case f.postgres != nil:
		const text = `(id_key || E'\n' || name_key)`
		var grams []string
		for i := range max(1, min(len(q.Search), 8)-2) {
			grams = append(grams, fmt.Sprintf("'%d:%s'", f.org.ID, q.Search[max(0, len(q.Search)-8):][i:min(i+3, len(q.Search))]))
		}
		if short {
			grams[0] += ":*"
		}
		found = query{found.sql + "(SELECT * FROM audit_entities WHERE audit_trigrams(org_id, id_key || E'\\n' || name_key) @@ $GRAMS::tsquery OFFSET 0) AS found WHERE org_id = ? AND " + text + " LIKE ?",
			[]any{f.org.ID, "%" + strings.ReplaceAll(q.Search, "_", `\_`) + "%"}}
		found.sql = strings.Replace(found.sql, "$GRAMS", "'"+strings.ReplaceAll(strings.Join(grams, " & "), "'", "''")+"'", 1)
	case short:
		found = query{found.sql + `audit_entities_search_terms AS s CROSS JOIN audit_entities AS a ON a.id = s.doc WHERE s.term >= ? AND s.term < ? AND a.org_id = ?`,
			[]any{q.Search, q.Search + "\U0010FFFF", f.org.ID}}
	default:
		found = query{found.sql + `audit_entities_search AS s CROSS JOIN audit_entities AS a ON a.id = s.rowid
WHERE s.text MATCH ? AND s.rowid BETWEEN ? AND ? AND instr(id_key || char(10) || name_key, ?) > 0`,
			[]any{`"` + q.Search[max(0, len(q.Search)-8):] + `"`, f.org.ID << 40, (f.org.ID+1)<<40 - 1, q.Search}}
	}
	entries := query{"entity_type = found.entity_type AND entity_id = found.entity_id", nil}.and(base.sql, base.args...)
	if f.postgres != nil {
		entries = run(entries, "DESC")
		return query{"SELECT e.* FROM (" + found.sql + ") AS found CROSS JOIN LATERAL (" + entries.sql + ") AS e ORDER BY id DESC LIMIT " + read,
			append(found.args, entries.args...)}
	}
	columns := "e." + strings.ReplaceAll(entryList, ", ", ", e.")
	where := strings.NewReplacer("entity_type =", "e.entity_type =", "entity_id =", "e.entity_id =").Replace(entries.sql)
	return query{"SELECT " + columns + " FROM (" + found.sql + ") AS found CROSS JOIN audit_entries AS e ON " + where + " ORDER BY e.id DESC LIMIT " + read,
		append(found.args, entries.args...)}
}

// id is an entry's ID as the driver takes it.
func (f *floors) id(id models.EntryID) any {
	if f.postgres != nil {
		return [16]byte(id)
	}
	return id[:]
}
