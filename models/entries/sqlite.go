package entries

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// sqlite is what SQLite does its own way.
type sqlite struct{}

// indexNames are the indexes of the entries by their columns between org_id and id.
var indexNames = map[string]string{
	"action":                "audit_entries_by_action",
	"entity_type,action":    "audit_entries_by_type",
	"entity_type,entity_id": "audit_entries_by_entity",
	"actor_id,action":       "audit_entries_by_actor_action",
	"actor_key,actor_id":    "audit_entries_by_user",
	"day of ip":             "audit_entries_by_ip",
	"day of request_id":     "audit_entries_by_request_id",
	"day of api_key_id":     "audit_entries_by_api_key",
	"day of source":         "audit_entries_by_source",
}

// merged is a UNION of one seek a run. It names the index: between two times SQLite would rather read
// everything of the organization. CROSS JOIN has SQLite read in the order written.
func (sqlite) merged(r reading, set runSet, runs []run) condition {
	where, index := r.where(set), indexNames[strings.Join(set.columns[:set.indexed], ",")]
	equal := ""
	for i, operand := range set.operands() {
		if isDayOf(set.columns[i]) {
			equal += " AND occurred_at / 86400000000 = CAST(? AS integer)"
		} else {
			equal += " AND " + operand + " = ?"
		}
	}
	var parts []string
	var args []any
	for _, run := range runs {
		parts = append(parts, `SELECT * FROM (SELECT `+strconv.Itoa(run.group)+` AS group_number, id AS hit_id FROM audit_entries INDEXED BY `+index+`
		WHERE `+where.sql+equal+` ORDER BY id `+r.direction()+` LIMIT ? OFFSET ?)`)
		args = append(args, where.args...)
		for _, value := range run.values[:len(set.columns)] {
			args = append(args, value)
		}
		args = append(args, cmp.Or(r.each, r.limit), r.skip)
	}
	ids := condition{strings.Join(parts, "\n\tUNION ALL ") + r.ordered("group_number", "hit_id") + " LIMIT ?", append(args, r.limit)}
	if r.columns.sql == idColumn.sql {
		return ids
	}
	return condition{"SELECT page.group_number, " + r.columns.sql + " FROM (" + ids.sql + ") AS page CROSS JOIN audit_entries AS e ON e.org_id = ? AND e.id = page.hit_id" +
		r.ordered("page.group_number", "page.hit_id"), append(ids.args, r.orgID)}
}

func (sqlite) hasOrigin(_ int64, column, value string) condition {
	return condition{column + " = ? AND " + column + " <> ''", []any{value}}
}

func (sqlite) amongIDs(ids []models.EntryID) condition {
	c := condition{sql: "id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"}
	for i := range ids {
		c.args = append(c.args, ids[i])
	}
	return c
}

// asciiLower leaves it to LIKE, which ignores the case of ASCII.
func (sqlite) asciiLower(column string) string { return column }

// containing asks the full-text index, whose terms are every three letters in a row. Those that begin with one
// or two letters are looked up in its list of terms first, one after the other: each is one seek. The join is a
// CROSS JOIN, which SQLite reads in the order written: it would otherwise look through every entity of the
// organization until it has statistics.
func (sqlite) containing(orgID int64, words []string) condition {
	var matches []string
	var args []any
	for _, gram := range gramsOf(words) {
		if !gram.beginning {
			matches = append(matches, "?")
			args = append(args, `"`+strings.ReplaceAll(gram.letters, `"`, `""`)+`"`)
			continue
		}
		matches = append(matches, `(WITH RECURSIVE terms(term) AS (
	SELECT (SELECT term FROM audit_entities_search_terms WHERE term >= ? LIMIT 1)
	UNION ALL SELECT (SELECT term FROM audit_entities_search_terms WHERE term >= terms.term || char(1) LIMIT 1) FROM terms WHERE terms.term < ?)
	SELECT '(' || coalesce(group_concat('"' || replace(term, '"', '""') || '"', ' OR '), '""') || ')' FROM terms WHERE term >= ? AND term < ?)`)
		args = append(args, gram.letters, beyond(gram.letters), gram.letters, beyond(gram.letters))
	}
	first, last := models.SQLiteIDs(orgID)
	c := condition{`(SELECT audit_entities.* FROM audit_entities_search CROSS JOIN audit_entities ON audit_entities.id = audit_entities_search.rowid
WHERE audit_entities_search MATCH ` + strings.Join(matches, " || ' AND ' || ") + ` AND audit_entities_search.rowid BETWEEN ? AND ?) AS found WHERE org_id = ?`,
		append(args, first, last, orgID)}
	for _, word := range words {
		c = c.and(condition{"instr(id_key || char(10) || name_key, ?) > 0", []any{word}})
	}
	return c
}

// beyond is behind every text that begins with text.
func beyond(text string) string { return text + "\U0010FFFF" }
