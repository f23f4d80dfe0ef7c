package models

import (
	"strconv"
	"strings"
)

// sqlite is what SQLite does its own way.
type sqlite struct{}

func (sqlite) name() string { return "sqlite" }

// streamsSQL is a UNION of one seek a stream, for IDs only, and then reads the rows of the page.
func (sqlite) streamsSQL(q streamQuery, streams []stream) (string, []any) {
	where := q.where()
	var parts []string
	var args []any
	equal := ""
	for _, column := range q.set.columns {
		equal += " AND " + column + " = ?"
	}
	for _, stream := range streams {
		parts = append(parts, `SELECT * FROM (SELECT `+strconv.Itoa(stream.group)+` AS grp, id AS hit_id FROM audit_entries
		WHERE `+where.sql+equal+` ORDER BY id `+q.order()+` LIMIT ?)`)
		args = append(args, where.args...)
		for _, value := range stream.values {
			args = append(args, value)
		}
		args = append(args, q.limit)
	}
	args = append(args, q.limit, q.orgID)
	return `SELECT page.grp, ` + q.columns + ` FROM (
	` + strings.Join(parts, `
	UNION ALL `) + `
	ORDER BY grp, hit_id ` + q.order() + ` LIMIT ?
) AS page CROSS JOIN audit_entries e ON e.org_id = ? AND e.id = page.hit_id
ORDER BY page.grp, e.id ` + q.order(), args
}

func (sqlite) someOf(query string) string { return "rowid IN (SELECT rowid FROM " + query + ")" }

func (sqlite) idAmong(ids []EntryID) condition {
	c := condition{sql: "id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"}
	for i := range ids {
		c.args = append(c.args, ids[i][:])
	}
	return c
}

// entitiesContaining asks the full-text index; its trigrams make a quoted word match as a substring.
// The join is a CROSS JOIN, which SQLite reads in the order written: it would otherwise look
// through every entity of the organization until it has statistics.
func (sqlite) entitiesContaining(orgID int64, words []string) condition {
	if len(words) == 0 {
		return condition{sql: "audit_entities WHERE org_id = ?", args: []any{orgID}}
	}
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = `"` + strings.ReplaceAll(word, `"`, `""`) + `"`
	}
	first, last := sqliteIDs(orgID)
	return condition{
		sql: `audit_entities_search CROSS JOIN audit_entities ON audit_entities.id = audit_entities_search.rowid
WHERE audit_entities_search.text MATCH ? AND audit_entities_search.rowid BETWEEN ? AND ? AND org_id = ?`,
		args: []any{strings.Join(quoted, " AND "), first, last, orgID},
	}
}
