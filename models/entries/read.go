package entries

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// condition is a part of a statement, and the values of its placeholders.
type condition struct {
	sql  string
	args []any
}

// and is that both hold; one without SQL always does.
func (c condition) and(other condition) condition {
	switch {
	case c.sql == "":
		return other
	case other.sql == "":
		return c
	default:
		return condition{c.sql + " AND " + other.sql, slices.Concat(c.args, other.args)}
	}
}

// reading asks for the first entries of some runs, group by group, by ID inside each.
type reading struct {
	orgID       int64
	span        span
	newestFirst bool
	skip        int // of each run
	each        int // of each run; zero for as many as of all
	limit       int
	anyOrder    bool // any of the entries will do: reading ends with the last one wanted
	columns     columns
}

// where is what all runs have in common.
func (r reading) where(set runSet) condition {
	return condition{"org_id = ? AND id >= ? AND id < ?", []any{r.orgID, r.span.from, r.span.to}}.and(set.of).and(set.where)
}

func (r reading) direction() string {
	if r.newestFirst {
		return "DESC"
	}
	return "ASC"
}

// ordered is what the runs give, in order, as SQL on its columns.
func (r reading) ordered(group, id string) string {
	if r.anyOrder {
		return ""
	}
	return " ORDER BY " + group + ", " + id + " " + r.direction()
}

// merger writes the statement that answers a reading: group, and columns of the entries.
type merger interface {
	merged(r reading, set runSet, runs []run) condition
	// hasOrigin is the condition that an entry of an organization has a value in one of the origins' columns,
	// as the index by days of that column takes it.
	hasOrigin(orgID int64, column, value string) condition
	// amongIDs is the condition that an entry's ID is one of some, of which there is at least one.
	amongIDs(ids []models.EntryID) condition
}

// groupedEntry is an entry and the number of its group among those read together.
type groupedEntry struct {
	models.Entry
	group int
}

// compare puts entries in the order of the query.
func (r reading) compare(a, b groupedEntry) int {
	byID := bytes.Compare(a.ID[:], b.ID[:])
	if r.newestFirst {
		byID = -byID
	}
	return cmp.Or(cmp.Compare(a.group, b.group), byID)
}

// sorted puts what several statements found in order; an entry that two of them found stays once.
func (r reading) sorted(entries []groupedEntry) []groupedEntry {
	slices.SortFunc(entries, r.compare)
	return slices.CompactFunc(entries, func(a, b groupedEntry) bool { return a.ID == b.ID })
}

// SQLite takes 500 parts of a UNION, each of which repeats the values that all runs have in common, and 32,766
// values in all.
const (
	mostTogether = 400
	mostValues   = 32_000
)

// parts are the runs that one statement reads each.
func (r reading) parts(set runSet) iter.Seq[[]run] {
	each := len(set.columns) + 2 // and the limits
	for _, value := range r.where(set).args {
		if list, ok := value.([]string); ok {
			each += len(list)
		} else {
			each++
		}
	}
	return slices.Chunk(set.runs, max(1, min(mostTogether, mostValues/each)))
}

// read reads the first entries of a set of runs.
func (l *Log) read(ctx context.Context, r reading, set runSet) (found []groupedEntry, err error) {
	if len(set.columns) == 0 {
		return l.query(ctx, r.columns, r.wholeLog(set))
	}
	parts := 0
	for runs := range r.parts(set) {
		entries, err := l.query(ctx, r.columns, l.merge.merged(r, set, runs))
		if err != nil {
			return nil, err
		}
		found = append(found, entries...)
		if parts++; parts > 1 {
			found = r.sorted(found)
		}
		found = found[:min(len(found), r.limit)]
	}
	return found, nil
}

// wholeLog reads the log as it lies, which is one run in the order of time.
func (r reading) wholeLog(set runSet) condition {
	where := r.where(set)
	return condition{"SELECT 0, " + r.columns.sql + " FROM audit_entries WHERE " + where.sql + " ORDER BY id " + r.direction() + " LIMIT ? OFFSET ?",
		append(where.args, r.limit, r.skip)}
}

// query runs a statement that answers with groups and columns of entries.
func (l *Log) query(ctx context.Context, columns columns, statement condition) (found []groupedEntry, err error) {
	rows, err := l.LogReader(ctx).Raw(statement.sql, statement.args...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var e groupedEntry
	into := append([]any{&e.group}, columns.into(&e.Entry)...)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, rows.Err()
}

// columns are columns of the entries, in SQL, and where a row of them goes.
type columns struct {
	sql  string
	into func(e *models.Entry) []any
}

// What a list shows of an entry, what exports do besides, of which the metadata may be large, what filters,
// words and sorting need, who it was, and where it is.
var (
	listColumns = columns{
		"org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, entity_name, " +
			"actor_id, actor_key, actor_name, actor_email, source, url, api_key_id, api_key_name, origin",
		func(e *models.Entry) []any {
			return []any{&e.OrgID, &e.ID, &e.OccurredAt, &e.RecordedAt, &e.Action, &e.EntityType, &e.EntityID, &e.EntityName,
				&e.ActorID, &e.ActorKey, &e.ActorName, &e.ActorEmail, &e.Source, &e.URL, &e.APIKeyID, &e.APIKeyName, &e.Origin}
		},
	}
	exportColumns = columns{
		listColumns.sql + ", ip, user_agent, request_id, metadata, original",
		func(e *models.Entry) []any {
			return append(listColumns.into(e), &e.IP, &e.UserAgent, &e.RequestID, &e.Metadata, &e.Original)
		},
	}
	filterColumns = columns{
		"id, action, entity_type, entity_id, entity_name, actor_id, actor_key, ip, request_id, api_key_id, source",
		func(e *models.Entry) []any {
			return []any{&e.ID, &e.Action, &e.EntityType, &e.EntityID, &e.EntityName, &e.ActorID, &e.ActorKey,
				&e.IP, &e.RequestID, &e.APIKeyID, &e.Source}
		},
	}
	actorColumns = columns{
		"id, actor_id, actor_name, actor_email",
		func(e *models.Entry) []any { return []any{&e.ID, &e.ActorID, &e.ActorName, &e.ActorEmail} },
	}
	idColumn = columns{"id", func(e *models.Entry) []any { return []any{&e.ID} }}
)
