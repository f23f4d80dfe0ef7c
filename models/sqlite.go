package models

import (
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// sqlite is what SQLite does its own way.
type sqlite struct{}

func (sqlite) name() string { return "sqlite" }

// insertEntry is a few statements in one transaction; SQLite has one writer, so nothing comes
// between them.
func (d sqlite) insertEntry(tx *gorm.DB, ref OrganizationRef, row entryRow, evenWhenOff bool) (InsertOutcome, error) {
	var state organizationState
	err := inTransaction(tx, func(tx *gorm.DB) error {
		column, value := ref.column()
		arguments := append(entryValues(row.Entry), value, evenWhenOff)
		inserted := tx.Exec(`
INSERT INTO audit_entries (org_id, `+entryColumns+`)
SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM audit_organizations
WHERE `+column+` = ? AND closed_at = 0 AND (logging_enabled OR ?)
ON CONFLICT (org_id, id) DO NOTHING`, arguments...)
		if inserted.Error != nil {
			return inserted.Error
		}
		err := tx.Raw(`SELECT id, logging_enabled, closed_at FROM audit_organizations
WHERE `+column+` = ?`, value).Scan(&state).Error
		if err != nil || inserted.RowsAffected == 0 {
			return err
		}
		return d.insertKnown(tx, state.ID, row)
	})
	return state.outcome(evenWhenOff), err
}

// insertKnown adds the entity and the actor of an entry where this month has not seen them yet.
// Their IDs begin with the organization's, so that full-text search can stay within it.
func (sqlite) insertKnown(tx *gorm.DB, orgID int64, row entryRow) error {
	first, last := sqliteIDs(orgID)
	err := tx.Exec(`
INSERT INTO audit_entities (id, org_id, month, entity_type, entity_id, id_key, name_key)
SELECT (SELECT COALESCE(MAX(id), ?) + 1 FROM audit_entities WHERE id BETWEEN ? AND ?), ?, ?, ?, ?, ?, ?
WHERE NOT EXISTS (SELECT 1 FROM audit_entities WHERE org_id = ?
	AND entity_type = ? AND entity_id = ? AND month = ? AND name_key = ?)`,
		first, first, last, orgID, row.Month, row.EntityType, row.EntityID, row.IDKey, row.NameKey,
		orgID, row.EntityType, row.EntityID, row.Month, row.NameKey).Error
	if err != nil {
		return err
	}
	return tx.Exec(`
INSERT INTO audit_actors (id, org_id, month, actor_id, actor_key, actor_name, actor_email, search_key)
SELECT (SELECT COALESCE(MAX(id), ?) + 1 FROM audit_actors WHERE id BETWEEN ? AND ?), ?, ?, ?, ?, ?, ?, ?
WHERE NOT EXISTS (SELECT 1 FROM audit_actors WHERE org_id = ?
	AND actor_id = ? AND month = ? AND actor_name = ? AND actor_email = ?)`,
		first, first, last, orgID, row.Month, row.ActorID, row.ActorKey, row.ActorName, row.ActorEmail, row.ActorText,
		orgID, row.ActorID, row.Month, row.ActorName, row.ActorEmail).Error
}

// sqliteIDs is the range of IDs that rows of an organization's entities and actors have.
func sqliteIDs(orgID int64) (first, last int64) { return orgID << 40, (orgID+1)<<40 - 1 }

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
