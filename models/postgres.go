package models

import (
	"strconv"
	"strings"

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

// streamsSQL seeks in the index once a stream, for IDs only, and then reads the rows of the page.
// The values go in as arrays, so the statement's text, and with it its plan, is the same for any
// number of streams.
func (postgres) streamsSQL(q streamQuery, streams []stream) (string, []any) {
	var arrays, names, equal []string
	var args []any
	for i, column := range append([]string{"grp"}, q.set.columns...) {
		values := make([]string, len(streams))
		for n, stream := range streams {
			if i == 0 {
				values[n] = strconv.Itoa(stream.group)
			} else {
				values[n] = stream.values[i-1]
			}
		}
		name, array := "v"+strconv.Itoa(i), "?::text[]"
		if i == 0 {
			array = "?::int[]"
		} else {
			equal = append(equal, " AND "+column+" = s."+name)
		}
		arrays, names = append(arrays, array), append(names, name)
		args = append(args, arrayText(values))
	}
	where := q.where()
	args = append(append(args, where.args...), q.limit, q.limit, q.orgID)
	return `SELECT page.grp, ` + q.columns + ` FROM (
	SELECT s.v0 AS grp, hit.id AS hit_id FROM unnest(` + strings.Join(arrays, ", ") + `) AS s(` + strings.Join(names, ", ") + `)
	CROSS JOIN LATERAL (SELECT id FROM audit_entries WHERE ` + where.sql + strings.Join(equal, "") + `
		ORDER BY id ` + q.order() + ` LIMIT ?) AS hit
	ORDER BY s.v0, hit.id ` + q.order() + ` LIMIT ?
) AS page JOIN audit_entries e ON e.org_id = ? AND e.id = page.hit_id
ORDER BY page.grp, e.id ` + q.order(), args
}

// arrayText is a PostgreSQL array in its text form.
func arrayText(values []string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var text strings.Builder
	for i, value := range values {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(`"` + quote.Replace(value) + `"`)
	}
	return "{" + text.String() + "}"
}

// entitiesContaining uses the trigram index: its expression, word for word.
func (postgres) entitiesContaining(orgID int64, words []string) condition {
	c := condition{sql: "audit_entities WHERE org_id = ?", args: []any{orgID}}
	for _, word := range words {
		c.sql += ` AND (id_key || E'\n' || name_key) LIKE ? ESCAPE '\'`
		c.args = append(c.args, "%"+escapeLike(word)+"%")
	}
	return c
}
