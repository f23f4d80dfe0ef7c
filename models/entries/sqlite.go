package entries

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// sqlite is what SQLite does its own way.
type sqlite struct{}

// mergeRuns has a subquery for each run in place of LATERAL, which SQLite has not got. However many runs there are,
// the statement is the same: compiling it may take longer than the answer. It names the index: between two times
// SQLite would rather read everything of the organization. CROSS JOIN has SQLite read in the order written.
func (sqlite) mergeRuns(r reading, set runSet) condition {
	id, equal := set.index.id(), ""
	where := r.where(set, id, "?")
	distinctOfRun, distinct := r.distinct(set)
	for i, operand := range set.operands {
		value := fmt.Sprintf("json_extract(run.value, '$[%d]')", i+1)
		if operand == day {
			operand, value = "occurred_at / 86400000000", "+CAST("+value+" AS integer)" // without the + it is no value of the index
		}
		equal += " AND " + operand + " = " + value
	}
	runs := make([][]any, len(set.runs))
	for i, run := range set.runs {
		runs[i] = []any{run.group}
		for _, value := range run.values {
			runs[i] = append(runs[i], value)
		}
	}
	table, _ := json.Marshal(runs) // numbers and texts cannot fail
	ids := condition{`SELECT ` + distinct + `json_extract(run.value, '$[0]') AS group_number, hit.id AS hit_id
FROM json_each(?) AS run CROSS JOIN audit_entries AS hit ON hit.org_id = ? AND hit.id IN (
	SELECT ` + distinctOfRun + id + ` FROM ` + set.index.table + ` INDEXED BY ` + set.index.name + ` WHERE ` + where.sql + equal + `
	ORDER BY ` + id + ` ` + r.direction() + ` LIMIT ? OFFSET ?)` + r.ordered("group_number", "hit_id") + ` LIMIT ?`,
		slices.Concat([]any{string(table), r.orgID}, where.args, []any{r.limit, r.skip, r.limit})}
	if r.columns == idColumn {
		return ids
	}
	return condition{`SELECT page.group_number, ` + r.columns + ` FROM (` + ids.sql + `) AS page
CROSS JOIN audit_entries AS e ON e.org_id = ? AND e.id = page.hit_id` +
		r.ordered("page.group_number", "page.hit_id"), append(ids.args, r.orgID)}
}

func (sqlite) among(orgID int64, ids []models.EntryID, columns string, where condition) condition {
	where = condition{"org_id = ? AND id IN ?", []any{orgID, ids}}.and(where)
	return condition{"SELECT 0, " + columns + " FROM audit_entries WHERE " + where.sql, where.args}
}

func (sqlite) cameFrom(_ int64, column, value string) condition {
	return condition{column + " = ? AND " + column + " <> ''", []any{value}}
}

// asciiLower leaves it to LIKE, which ignores the case of ASCII.
func (sqlite) asciiLower(column string) string { return column }

// holding asks the full-text index, whose terms are every three letters in a row. Those that begin with one
// or two letters are looked up in its list of terms first, one after the other: each is one seek. The join is a
// CROSS JOIN, which SQLite reads in the order written: it would otherwise look through every entity of the
// organization until it has statistics.
func (sqlite) holding(orgID int64, grams []gram) condition {
	var matches []string
	var args []any
	for _, gram := range grams {
		if !gram.beginning {
			matches = append(matches, "?")
			args = append(args, `"`+strings.ReplaceAll(gram.letters, `"`, `""`)+`"`)
			continue
		}
		matches = append(matches, `(WITH RECURSIVE terms(term) AS (
	SELECT (SELECT term FROM audit_entities_search_terms WHERE term >= ? LIMIT 1)
	UNION ALL SELECT (SELECT term FROM audit_entities_search_terms WHERE term >= terms.term || char(1) LIMIT 1)
	FROM terms WHERE terms.term < ?)
SELECT '(' || coalesce(group_concat('"' || replace(term, '"', '""') || '"', ' OR '), '""') || ')'
FROM terms WHERE term >= ? AND term < ?)`)
		beyond := gram.letters + "\U0010FFFF" // every text that begins with them
		args = append(args, gram.letters, beyond, gram.letters, beyond)
	}
	first, last := models.SQLiteIDs(orgID)
	return condition{`(SELECT audit_entities.* FROM audit_entities_search
	CROSS JOIN audit_entities ON audit_entities.id = audit_entities_search.rowid
	WHERE audit_entities_search MATCH ` + strings.Join(matches, " || ' AND ' || ") + `
	AND audit_entities_search.rowid BETWEEN ? AND ?) AS found WHERE org_id = ?`, append(args, first, last, orgID)}
}
