package entries

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

type sqlite struct{}

// streamIndexes are the indexes of the entries by their columns between org_id and id.
var streamIndexes = map[string]string{
	"action":                "audit_entries_by_action",
	"entity_type,action":    "audit_entries_by_type",
	"entity_type,entity_id": "audit_entries_by_entity",
	"actor_id,action":       "audit_entries_by_actor_action",
	"actor_key,actor_id":    "audit_entries_by_user",
}

// streamsSQL is a UNION of one seek a stream. It names the index: between two times SQLite would rather
// read everything of the organization.
func (sqlite) streamsSQL(q streamQuery, streams []stream, limit int, more string) condition {
	where := q.where()
	var parts []string
	var args []any
	equal, index := "", streamIndexes[strings.Join(q.set.columns[:q.set.indexed], ",")]
	for _, operand := range q.set.operands() {
		equal += " AND " + operand + " = ?"
	}
	for _, stream := range streams {
		parts = append(parts, `SELECT * FROM (SELECT `+strconv.Itoa(stream.group)+` AS grp, id AS hit_id`+more+` FROM audit_entries INDEXED BY `+index+`
		WHERE `+where.sql+equal+` ORDER BY id `+q.order()+` LIMIT ?)`)
		args = append(args, where.args...)
		for _, value := range stream.values {
			args = append(args, value)
		}
		args = append(args, cmp.Or(q.each, limit))
	}
	return condition{sql: strings.Join(parts, `
	UNION ALL `) + q.streamsOrder("grp", "hit_id") + ` LIMIT ?`, args: append(args, limit)}
}

// endsFirst is true: reading entries into a table that has a LIMIT takes half as long again.
func (sqlite) endsFirst() bool { return true }

// look is short: reading an entry takes twice as long as on PostgreSQL.
func (sqlite) look() int { return 500 }

// entriesAt reads in the order written.
func (sqlite) entriesAt(q streamQuery, ids condition) condition {
	c := condition{
		sql:  "SELECT page.grp, page.ends, " + q.columns.sql + " FROM (" + ids.sql + ") AS page CROSS JOIN audit_entries e ON e.org_id = ? AND e.id = page.hit_id",
		args: append(ids.args, q.orgID),
	}
	c.sql, c.args = c.sql+" ORDER BY page.grp, e.id "+q.order()+", page.ends LIMIT ?", append(c.args, q.limit+1)
	return c
}

// forLike leaves it to LIKE, which folds ASCII.
func (sqlite) forLike(column string) string { return column }

// entitiesContaining asks the full-text index; its trigrams make a quoted text match as a substring. Of
// a long word the end is enough, where words differ most. The join is a CROSS JOIN, which SQLite reads in
// the order written: it would otherwise look through every entity of the organization until it has
// statistics. The index lists the entities of all organizations together, the longer the larger the others
// are: where an organization has few itself, they are compared instead.
func (sqlite) entitiesContaining(orgID int64, words []string, few int) condition {
	quoted := make([]string, len(words))
	first, last := models.SQLiteIDs(orgID)
	hasFew := "(SELECT count(*) FROM (SELECT 1 FROM audit_entities WHERE id BETWEEN ? AND ? LIMIT ?)) <= ?"
	howMany := []any{first, last, few + 1, few}
	var contains condition
	for i, word := range words {
		quoted[i] = `"` + strings.ReplaceAll(endOf(word), `"`, `""`) + `"`
		contains.sql += " AND instr(id_key || char(10) || name_key, ?) > 0"
		contains.args = append(contains.args, word)
	}
	return condition{
		sql: `(SELECT audit_entities.* FROM (SELECT 1 WHERE ` + hasFew + `) CROSS JOIN audit_entities NOT INDEXED WHERE id BETWEEN ? AND ?` + contains.sql + `
UNION ALL SELECT audit_entities.* FROM (SELECT 1 WHERE NOT ` + hasFew + `) CROSS JOIN audit_entities_search CROSS JOIN audit_entities ON audit_entities.id = audit_entities_search.rowid
WHERE audit_entities_search.text MATCH ? AND audit_entities_search.rowid BETWEEN ? AND ?` + contains.sql + `) AS found WHERE org_id = ?`,
		args: slices.Concat(howMany, []any{first, last}, contains.args,
			howMany, []any{strings.Join(quoted, " AND "), first, last}, contains.args, []any{orgID}),
	}
}

func (sqlite) idAmong(ids []models.EntryID) condition {
	c := condition{sql: "id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"}
	for i := range ids {
		c.args = append(c.args, ids[i])
	}
	return c
}
