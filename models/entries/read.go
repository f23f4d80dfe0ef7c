package entries

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm/schema"

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

// or is that one of the two holds; both have SQL.
func (c condition) or(other condition) condition {
	return condition{"(" + c.sql + " OR " + other.sql + ")", slices.Concat(c.args, other.args)}
}

// reading asks for the first entries of some runs, group by group, by ID inside each.
type reading struct {
	orgID       int64
	span        span
	newestFirst bool
	skip        int // of each run
	limit       int
	anyOrder    bool // any of the entries will do: reading ends with the last one wanted
	columns     string
}

// where is what all runs have in common: their entries are between two places, each at an ID.
func (r reading) where(set runSet, entry, at string) condition {
	where := set.where
	within := condition{"org_id = ? AND " + entry + " >= " + at + " AND " + entry + " < " + at, []any{r.orgID, r.span.from, r.span.to}}
	if set.index.id() != "id" && where.sql != "" { // no EXISTS: PostgreSQL may make a join of that
		where = condition{"(SELECT true FROM audit_entries WHERE org_id = ? AND id = entry_id AND " + where.sql + ")",
			append([]any{r.orgID}, where.args...)}
	}
	return within.and(set.common).and(where)
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

// distinct has an entry given once, of a run and of all. In any order it may be given again: all would have to be
// found before the first is given.
func (r reading) distinct(set runSet) (ofRun, ofAll string) {
	switch {
	case !set.repeats():
		return "", ""
	case r.anyOrder:
		return "DISTINCT ", ""
	default:
		return "DISTINCT ", "DISTINCT "
	}
}

// groupedEntry is an entry and the number of its group among those read together.
type groupedEntry struct {
	models.Entry
	group int
}

// compare puts entries in the order of the query.
func (r reading) compare(a, b groupedEntry) int {
	byID := a.ID.Compare(b.ID)
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

// read reads the first entries of a set of runs.
func (l *Log) read(ctx context.Context, r reading, set runSet) (found []groupedEntry, err error) {
	if set.index == byTime {
		return l.query(ctx, r.columns, r.byTime(set))
	}
	if len(set.runs) == 0 {
		return nil, nil
	}
	return l.query(ctx, r.columns, l.dialect.mergeRuns(r, set))
}

// byTime reads the log as it lies, which is one run of the primary key.
func (r reading) byTime(set runSet) condition {
	where := r.where(set, "id", "?")
	return condition{"SELECT 0, " + r.columns + " FROM audit_entries WHERE " + where.sql +
		" ORDER BY id " + r.direction() + " LIMIT ? OFFSET ?", append(where.args, r.limit, r.skip)}
}

// readByID reads some entries, in no order.
func (l *Log) readByID(ctx context.Context, orgID int64, ids []models.EntryID, columns string) ([]groupedEntry, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return l.query(ctx, columns, condition{
		"SELECT 0, " + columns + " FROM audit_entries WHERE org_id = ? AND id IN ?", []any{orgID, ids}})
}

// query runs a statement that answers with groups and columns of entries.
func (l *Log) query(ctx context.Context, columns string, statement condition) (found []groupedEntry, err error) {
	rows, err := l.LogReader(ctx).Raw(statement.sql, statement.args...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var e groupedEntry
	into := []any{&e.group}
	for column := range strings.SplitSeq(columns, ", ") {
		into = append(into, reflect.ValueOf(&e.Entry).Elem().FieldByName(fieldOf[column]).Addr().Interface())
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, rows.Err()
}

// fieldOf are the names of an entry's fields by column.
var fieldOf = func() map[string]string {
	fields := map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[models.Entry]()) {
		fields[schema.NamingStrategy{}.ColumnName("", field.Name)] = field.Name
	}
	return fields
}()

// What a list shows of an entry; what exports do besides, of which the metadata may be large; what entries are
// sorted by; and where they are.
const (
	listColumns = "org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, entity_name, " +
		"actor_id, actor_key, actor_name, actor_email, source, url, api_key_id, api_key_name, origin, original, outcome, native_action, actor_type, parts"
	exportColumns = listColumns + ", ip, user_agent, request_id, metadata, reason, masked"
	sortColumns   = "id, action, entity_type, actor_key"
	idColumn      = "id"
)
