package entries

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// groupedEntry is an entry and the number of its group among those read together.
type groupedEntry struct {
	models.Entry
	Grp  int
	ends bool // it is not among those asked for, but the last one that was looked at
}

// sortGrouped puts what several reads found in order; an entry that two of them found stays once.
func sortGrouped(entries []groupedEntry, newestFirst bool) []groupedEntry {
	slices.SortFunc(entries, streamQuery{newestFirst: newestFirst}.compare)
	return slices.CompactFunc(entries, func(a, b groupedEntry) bool { return a.ID == b.ID })
}

// idBounds is a range of entry IDs: from <= id < to, or after < id, or id <= through; zero values do not
// restrict.
type idBounds struct {
	from, to, after, through models.EntryID
}

// pass leaves out id and what was read before it.
func (b *idBounds) pass(id models.EntryID, newestFirst bool) {
	switch {
	case !newestFirst:
		b.after = id
	case b.to.IsZero() || bytes.Compare(id[:], b.to[:]) < 0:
		b.to = id
	}
}

// endAt leaves out what is read behind id.
func (b *idBounds) endAt(id models.EntryID, newestFirst bool) {
	if newestFirst {
		b.from = id
	} else {
		b.through = id
	}
}

// where is the range as SQL on the column id.
func (b idBounds) where() condition {
	c := condition{sql: "id >= ?", args: []any{b.from}}
	if bytes.Compare(b.after[:], b.from[:]) >= 0 { // only one of them: SQLite begins at the first it is told
		c = condition{sql: "id > ?", args: []any{b.after}}
	}
	switch {
	case !b.through.IsZero():
		c.sql, c.args = c.sql+" AND id <= ?", append(c.args, b.through)
	case !b.to.IsZero():
		c.sql, c.args = c.sql+" AND id < ?", append(c.args, b.to)
	}
	return c
}

// streamQuery asks for the first entries of a set of streams, group by group, by ID inside each.
type streamQuery struct {
	orgID       int64
	set         streamSet
	bounds      idBounds
	newestFirst bool
	limit       int // entries answered
	each        int // entries of a stream; zero for as many as of all
	columns     columnSet
	// Where matching is set, only those entries are answered that fulfil it, among the first scanned
	// ones; among all where that is zero. placeless says that where the scan ended is of no interest unless
	// it found as many as limit.
	matching  condition
	scanned   int
	placeless bool
	// filtered says that matching compares more than the words of a search do.
	filtered bool
	// anyOrder says that any of the entries will do: reading ends with the last one wanted.
	anyOrder bool
}

// streamsOrder is the order of what all streams give together, as SQL on their groups and IDs.
func (q streamQuery) streamsOrder(group, id string) string {
	if q.anyOrder {
		return ""
	}
	return `
	ORDER BY ` + group + `, ` + id + ` ` + q.order()
}

// whole says that the log is read as it lies, without streams.
func (q streamQuery) whole() bool { return len(q.set.columns) == 0 }

// order is the direction of IDs as SQL.
func (q streamQuery) order() string {
	if q.newestFirst {
		return "DESC"
	}
	return "ASC"
}

// where is what all streams have in common, as SQL on the entries.
func (q streamQuery) where() condition {
	all := condition{sql: "org_id = ?", args: []any{q.orgID}}
	for _, c := range append([]condition{q.bounds.where()}, q.set.conditions...) {
		all.sql, all.args = all.sql+" AND "+c.sql, append(all.args, c.args...)
	}
	return all
}

// SQLite takes 500 parts of a UNION, each of which repeats the values that all streams have in
// common, and 32,766 values in all.
const (
	maxStreams = 400
	maxValues  = 32_000
)

// parts are the streams that one statement reads each; one part without streams where the whole log
// is read.
func (q streamQuery) parts() iter.Seq[[]stream] {
	if q.whole() {
		return func(yield func([]stream) bool) { yield(nil) }
	}
	each := len(q.set.columns) + 1 // the limit
	for _, value := range q.where().args {
		if list, ok := value.([]string); ok {
			each += len(list)
		} else {
			each++
		}
	}
	return slices.Chunk(q.set.streams, max(1, min(maxStreams, maxValues/each)))
}

// entriesSQL asks for the first entries of some streams.
func (s *Log) entriesSQL(q streamQuery, streams []stream) condition {
	if !q.whole() {
		return s.dialect.entriesAt(q, s.matchingIDs(q, streams))
	}
	c := q.where()
	c.sql = "audit_entries WHERE " + c.sql
	switch {
	case q.scanned > 0:
		c.sql = "(SELECT * FROM " + c.sql + " ORDER BY id " + q.order() + " LIMIT ?) AS scanned WHERE " + q.matching.sql
		c.args = append(append(c.args, q.scanned), q.matching.args...)
	case q.matching.sql != "":
		c.sql, c.args = c.sql+" AND ("+q.matching.sql+")", append(c.args, q.matching.args...)
	}
	c.sql = "SELECT 0, FALSE, " + q.columns.sql + " FROM " + c.sql + " ORDER BY id " + q.order() + " LIMIT ?"
	c.args = append(c.args, q.limit)
	return c
}

// matchingIDs asks for the groups and IDs of the first entries of some streams, of those that match
// where they are to, and then where the scan ended.
func (s *Log) matchingIDs(q streamQuery, streams []stream) condition {
	if q.matching.sql == "" {
		c := s.dialect.streamsSQL(q, streams, q.limit, "")
		c.sql = "SELECT grp, hit_id, FALSE AS ends FROM (" + c.sql + ") AS ids"
		return c
	}
	more := matchedColumns
	if q.filtered {
		more += ", actor_id, actor_key"
	}
	c := s.dialect.streamsSQL(q, streams, q.scanned, more)
	order := " ORDER BY grp, hit_id " + q.order()
	c.sql = "WITH scanned AS MATERIALIZED (" + c.sql + `)
	SELECT * FROM (SELECT grp, hit_id, FALSE AS ends FROM scanned WHERE ` + q.matching.sql + order + ` LIMIT ?) AS matched
	UNION ALL SELECT * FROM (SELECT grp, hit_id, TRUE AS ends FROM scanned` + order + ` LIMIT 1 OFFSET ?) AS place`
	c.args = append(append(c.args, q.matching.args...), q.limit, q.scanned-1)
	return c
}

// matchedColumns are what the words of a search are compared with.
const matchedColumns = ", action, entity_type, entity_id, entity_name"

// readStreams reads the first entries of a set of streams.
func (s *Log) readStreams(ctx context.Context, q streamQuery) ([]groupedEntry, error) {
	found, _, err := s.scanStreams(ctx, q)
	return found, err
}

// scanStreams reads the first entries of a set of streams. end is the last one that was looked at, nil
// where that were all.
func (s *Log) scanStreams(ctx context.Context, q streamQuery) (found []groupedEntry, end *groupedEntry, err error) {
	parts := 0
	for part := range q.parts() {
		parts++
		entries, last, err := s.scanPart(ctx, q, part)
		if err != nil {
			return nil, nil, err
		}
		if last != nil && (end == nil || q.compare(*last, *end) < 0) {
			end = last
		}
		found = joined(found, entries)
	}
	if parts > 1 {
		found = sortGrouped(found, q.newestFirst)
	}
	if end != nil {
		// What lies beyond was not looked at in every part.
		found = slices.DeleteFunc(found, func(e groupedEntry) bool { return q.compare(e, *end) > 0 })
	}
	if len(found) > q.limit {
		found = found[:q.limit]
		end = &found[q.limit-1]
	}
	return found, end, nil
}

// scanPart reads the first entries of some streams, as scanStreams does.
func (s *Log) scanPart(ctx context.Context, q streamQuery, streams []stream) (found []groupedEntry, end *groupedEntry, err error) {
	toPlace := q.whole() && q.scanned > 0
	within := q
	if toPlace && s.dialect.endsFirst() {
		if end, err = s.placeOf(ctx, q, streams, q.scanned); err != nil {
			return nil, nil, err
		}
		if within.scanned = 0; end != nil {
			within.bounds.endAt(end.ID, q.newestFirst)
		}
	}
	if found, err = s.queryEntries(ctx, q.columns, q.limit, s.entriesSQL(within, streams)); err != nil {
		return nil, nil, err
	}
	if n := len(found); n > 0 && found[n-1].ends {
		last := found[n-1] // a copy: others are put in order, or in its place
		found, end = found[:n-1], &last
	}
	switch {
	case len(found) == q.limit:
		last := found[q.limit-1]
		end = &last
	case toPlace && end == nil && !s.dialect.endsFirst() && !q.placeless:
		end, err = s.placeOf(ctx, q, streams, q.scanned)
	}
	return found, end, err
}

// joined are a and b, which are not used any more.
func joined[T any](a, b []T) []T {
	if len(a) == 0 {
		return b
	}
	return append(a, b...)
}

// placeOf is group and ID of the n-th entry of some streams; nil where there are fewer.
func (s *Log) placeOf(ctx context.Context, q streamQuery, streams []stream, n int) (*groupedEntry, error) {
	ids := q.where()
	if q.whole() {
		ids.sql = "SELECT 0, id FROM audit_entries WHERE " + ids.sql + " ORDER BY id " + q.order()
	} else {
		ids = s.dialect.streamsSQL(q, streams, n, "")
		ids.sql = "SELECT grp, hit_id FROM (" + ids.sql + ") AS ids ORDER BY grp, hit_id " + q.order()
	}
	rows, err := s.LogReader(ctx).Raw(ids.sql+" LIMIT 1 OFFSET ?", append(ids.args, n-1)...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	var place groupedEntry
	return &place, rows.Scan(&place.Grp, &place.ID)
}

// compare puts entries in the order of the query.
func (q streamQuery) compare(a, b groupedEntry) int {
	byID := bytes.Compare(a.ID[:], b.ID[:])
	if q.newestFirst {
		byID = -byID
	}
	return cmp.Or(cmp.Compare(a.Grp, b.Grp), byID)
}

// columnSet are columns of the entries, in SQL, and where a row of them goes.
type columnSet struct {
	sql  string
	into func(e *models.Entry) []any
}

// What a list shows of an entry, what exports do besides, of which the metadata may be large, who it was,
// and what sorting needs.
var (
	listColumns = columnSet{
		"org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, entity_name, " +
			"actor_id, actor_key, actor_name, actor_email, source, url, api_key_id, api_key_name, origin",
		func(e *models.Entry) []any {
			return []any{&e.OrgID, &e.ID, &e.OccurredAt, &e.RecordedAt, &e.Action, &e.EntityType, &e.EntityID, &e.EntityName,
				&e.ActorID, &e.ActorKey, &e.ActorName, &e.ActorEmail, &e.Source, &e.URL, &e.APIKeyID, &e.APIKeyName, &e.Origin}
		},
	}
	exportColumns = columnSet{
		listColumns.sql + ", ip, user_agent, request_id, metadata, original",
		func(e *models.Entry) []any {
			return append(listColumns.into(e), &e.IP, &e.UserAgent, &e.RequestID, &e.Metadata, &e.Original)
		},
	}
	actorOfEntry = columnSet{
		"id, actor_id, actor_name, actor_email",
		func(e *models.Entry) []any { return []any{&e.ID, &e.ActorID, &e.ActorName, &e.ActorEmail} },
	}
	sortColumns = columnSet{
		"id, action, entity_type, actor_key",
		func(e *models.Entry) []any { return []any{&e.ID, &e.Action, &e.EntityType, &e.ActorKey} },
	}
)

// queryEntries runs a statement that answers with groups, ends and columns of about n entries.
func (s *Log) queryEntries(ctx context.Context, columns columnSet, n int, statement condition) ([]groupedEntry, error) {
	rows, err := s.LogReader(ctx).Raw(statement.sql, statement.args...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []groupedEntry
	var e groupedEntry
	into := append([]any{&e.Grp, &e.ends}, columns.into(&e.Entry)...)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if entries == nil {
			entries = make([]groupedEntry, 0, min(n, 64))
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// ungrouped are the entries alone.
func ungrouped(found []groupedEntry) []models.Entry {
	entries := make([]models.Entry, len(found))
	for i := range found {
		entries[i] = found[i].Entry
	}
	return entries
}
