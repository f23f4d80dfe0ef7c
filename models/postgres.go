package models

import (
	"gorm.io/gorm"
)

// postgres is what PostgreSQL does its own way.
type postgres struct{}

func (postgres) name() string { return "postgres" }

// insertEntry is one statement and so one round trip: the parts of a WITH see the same snapshot.
func (postgres) insertEntry(tx *gorm.DB, ref OrganizationRef, row entryRow, evenWhenOff bool) (InsertOutcome, error) {
	column, value := ref.column()
	arguments := append([]any{value}, entryValues(row.Entry)...)
	arguments = append(arguments, evenWhenOff,
		row.Month, row.EntityType, row.EntityID, row.IDKey, row.NameKey,
		row.EntityType, row.EntityID, row.Month, row.NameKey,
		row.Month, row.ActorID, row.ActorKey, row.ActorName, row.ActorEmail, row.ActorText,
		row.ActorID, row.Month, row.ActorName, row.ActorEmail)
	var state organizationState
	err := tx.Raw(`
WITH org AS (
	SELECT id, logging_enabled, closed_at FROM audit_organizations WHERE `+column+` = ?
), entry AS (
	INSERT INTO audit_entries (org_id, `+entryColumns+`)
	SELECT id, ?::uuid, ?::bigint, ?::bigint, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM org
	WHERE closed_at = 0 AND (logging_enabled OR ?)
	ON CONFLICT (org_id, id) DO NOTHING
	RETURNING org_id
), entity AS (
	INSERT INTO audit_entities (org_id, month, entity_type, entity_id, id_key, name_key)
	SELECT org_id, ?::integer, ?, ?, ?, ? FROM entry
	WHERE NOT EXISTS (SELECT 1 FROM audit_entities known WHERE known.org_id = entry.org_id
		AND known.entity_type = ? AND known.entity_id = ? AND known.month = ? AND known.name_key = ?)
), actor AS (
	INSERT INTO audit_actors (org_id, month, actor_id, actor_key, actor_name, actor_email, search_key)
	SELECT org_id, ?::integer, ?, ?, ?, ?, ? FROM entry
	WHERE NOT EXISTS (SELECT 1 FROM audit_actors known WHERE known.org_id = entry.org_id
		AND known.actor_id = ? AND known.month = ? AND known.actor_name = ? AND known.actor_email = ?)
)
SELECT id, logging_enabled, closed_at FROM org`, arguments...).Scan(&state).Error
	return state.outcome(evenWhenOff), err
}
