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
func (f *floors) page(question benchdata.Question, values int) (query, error) {
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
		return f.sought(q, base), nil
	default:
		for _, word := range strings.Fields(q.Search) {
			matching := f.matching(word)
			base = base.and(matching.sql, matching.args...)
		}
	}
	for column, value := range provenanceOf(q) {
		if question.Sparse {
			return f.cameFrom(q, base, column, value)
		}
		base = base.and(column+" || '' = ?", value)
	}
	order := "DESC"
	if q.Sort == "" || q.Sort == entries.SortTimestamp {
		if q.Ascending {
			order = "ASC"
		}
		return merged(f.runs(f.behind(base, q), q, nil), order), nil
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
	return query{all.sql + " LIMIT " + read, all.args}, nil
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
		for id, name := range f.names {
			if q.APIKey+q.Source == "" || id == models.SystemActorID { // people have neither
				values = append(values, name)
			}
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

// matching is a word as a condition on the entries.
func (f *floors) matching(word string) query {
	id, name := "entity_id", "entity_name"
	if f.postgres != nil {
		id, name = `lower(entity_id COLLATE "C")`, `lower(entity_name COLLATE "C")`
	}
	pattern := "%" + strings.ReplaceAll(word, "_", `\_`) + "%"
	return query{"(" + id + ` LIKE ? ESCAPE '\' OR ` + name + ` LIKE ? ESCAPE '\' OR action LIKE ? ESCAPE '\')`, []any{pattern, pattern, pattern}}
}

// sought is a search that finds little, through the index of entities.
func (f *floors) sought(q entries.Query, base query) query {
	if len(q.Actions) > 0 {
		base = base.and("action || '' = ? AND actor_id || '' = ?", q.Actions[0], q.Actors[0]) // not their index
	}
	found := query{"SELECT DISTINCT entity_type, entity_id FROM ", nil}
	words := strings.Fields(q.Search)
	// The last letters of the words, by which the index finds them; a short one is of no use beside others.
	var ends []string
	for _, word := range words {
		if letters := []rune(word); len(letters) > 2 {
			ends = append(ends, string(letters[max(0, len(letters)-8):]))
		}
	}
	switch {
	case f.postgres != nil:
		var grams []string
		for _, end := range ends {
			for letters := []rune(end); len(letters) > 2; letters = letters[1:] {
				grams = append(grams, fmt.Sprintf("'%d:%s'", f.org.ID, string(letters[:3])))
			}
		}
		if len(grams) == 0 {
			grams = []string{fmt.Sprintf("'%d:%s':*", f.org.ID, q.Search)}
		}
		found.sql += "(SELECT * FROM audit_entities WHERE audit_trigrams(org_id, id_key || E'\\n' || name_key) @@ '" +
			strings.ReplaceAll(strings.Join(grams, " & "), "'", "''") + "'::tsquery OFFSET 0) AS found WHERE org_id = ?"
		found.args = []any{f.org.ID}
	case len(ends) == 0:
		found.sql += `audit_entities_search_terms AS s CROSS JOIN audit_entities AS a ON a.id = s.doc
WHERE s.term >= ? AND s.term < ? AND a.org_id = ?`
		found.args = []any{q.Search, q.Search + "\U0010FFFF", f.org.ID}
	default:
		found.sql += `audit_entities_search AS s CROSS JOIN audit_entities AS a ON a.id = s.rowid
WHERE s.text MATCH ? AND s.rowid BETWEEN ? AND ?`
		found.args = []any{`"` + strings.Join(ends, `" AND "`) + `"`, f.org.ID << 40, (f.org.ID+1)<<40 - 1}
	}
	for _, word := range words {
		pattern := "%" + strings.ReplaceAll(word, "_", `\_`) + "%"
		found = found.and(`(id_key LIKE ? ESCAPE '\' OR name_key LIKE ? ESCAPE '\')`, pattern, pattern)
	}
	of := query{"entity_type = found.entity_type AND entity_id = found.entity_id", nil}.and(base.sql, base.args...)
	order := f.orderOf(q)
	if f.postgres != nil {
		of = f.whole(q, of)
		return query{"SELECT e.* FROM (" + found.sql + ") AS found CROSS JOIN LATERAL (" + of.sql + ") AS e ORDER BY " + order + " LIMIT " + read,
			append(found.args, of.args...)}
	}
	columns := "e." + strings.ReplaceAll(entryList, ", ", ", e.")
	where := strings.NewReplacer("entity_type =", "e.entity_type =", "entity_id =", "e.entity_id =").Replace(of.sql)
	return query{"SELECT " + columns + " FROM (" + found.sql + ") AS found CROSS JOIN audit_entries AS e ON " + where +
		" ORDER BY " + strings.Replace("e."+order, ", id", ", e.id", 1) + " LIMIT " + read, append(found.args, of.args...)}
}

// cameFrom is what came from one IP, request, API key or source that has little, through the index by days of
// the days that the log has.
func (f *floors) cameFrom(q entries.Query, base query, column, value string) (query, error) {
	base = base.and(column+" = ? AND "+column+" <> ''", value)
	day := "occurred_at / 86400000000 = ?"
	if f.postgres != nil {
		base = base.and("(hashtextextended("+column+", org_id) >> 32)::integer = (hashtextextended(?, ?) >> 32)::integer", value, f.org.ID)
		day = "(occurred_at / 86400000000)::integer = ?"
	}
	var bounds [2]int64
	for i, order := range []string{"", " DESC"} {
		err := f.log.Read.Raw("SELECT occurred_at / 86400000000 FROM audit_entries WHERE org_id = ? ORDER BY id"+order+" LIMIT 1", f.org.ID).Scan(&bounds[i]).Error
		if err != nil {
			return query{}, err
		}
	}
	var days []query
	for d := bounds[0]; d <= bounds[1]; d++ {
		days = append(days, f.whole(q, base.and(day, d)))
	}
	all := union(days)
	if f.postgres == nil { // SQLite would rather have an index in the order of time, and read all of it
		byDay := "INDEXED BY audit_entries_by_" + strings.Replace(column, "api_key_id", "api_key", 1)
		all.sql = strings.ReplaceAll(all.sql, "FROM audit_entries ", "FROM audit_entries "+byDay+" ")
	}
	return query{"SELECT * FROM (" + all.sql + ") AS days ORDER BY " + f.orderOf(q) + " LIMIT " + read, all.args}, nil
}

// whole is the entries of a run that a page of q may need: all, where it is not sorted by time.
func (f *floors) whole(q entries.Query, where query) query {
	if q.Sort == entries.SortUser {
		return query{"SELECT * FROM (SELECT " + entryList + " FROM audit_entries WHERE " + where.sql + ") AS run", where.args}
	}
	return run(where, "DESC")
}

func (f *floors) orderOf(q entries.Query) string {
	if q.Sort == entries.SortUser {
		return "actor_key, id DESC"
	}
	return "id DESC"
}

// id is an entry's ID as the driver takes it.
func (f *floors) id(id models.EntryID) any {
	if f.postgres != nil {
		return [16]byte(id)
	}
	return id[:]
}
