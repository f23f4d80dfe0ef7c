package models

import (
	"context"
	"fmt"
)

// What is added blindly (see unlessKnown) is found by its ID, which lies before all others but by a chance in 2³².
const firstSeenName = "'00000001-0000-0000-0000-000000000000'"

// postgresMergeNames takes rows that were added blindly, and puts back one of each name where there is none: under an
// ID made of what it says, so that the next of the name is found to be there by one look, however many there are. It
// asks without EXISTS, which PostgreSQL 13 may answer from the whole table, and names the organization each time, for Citus.
func postgresMergeNames(table, columns, known string) string {
	return `
WITH blind AS (
	DELETE FROM ` + table + ` WHERE org_id = @org AND id = ANY (ARRAY(
		SELECT id FROM ` + table + ` WHERE org_id = @org AND id < ` + firstSeenName + ` ORDER BY id LIMIT @limit))
	RETURNING org_id, ` + columns + `
), named AS (
	SELECT v.*, left(encode(sha256(convert_to(v::text, 'UTF8')), 'hex'), 32)::uuid AS id FROM (SELECT DISTINCT * FROM blind) AS v
), merged AS (
	INSERT INTO ` + table + ` (org_id, id, ` + columns + `)
	SELECT CAST(@org AS bigint), id, ` + columns + ` FROM named AS v
	WHERE CASE WHEN (SELECT true FROM ` + table + ` AS there WHERE there.org_id = @org AND there.id = v.id LIMIT 1) THEN false
		ELSE (SELECT true FROM ` + known + ` AND known.id >= ` + firstSeenName + ` LIMIT 1) IS NULL END
	ON CONFLICT (org_id, id) DO NOTHING
)
SELECT COUNT(*) FROM blind`
}

var postgresMerges = []string{
	postgresMergeNames("audit_entities", "month, entity_type, entity_id, id_key, name_key", postgresKnownEntity("@org", "v.")),
	postgresMergeNames("audit_actors", "month, actor_id, actor_key, actor_name, actor_email, search_key, actor_type",
		postgresKnownActor("@org", "v.")),
	postgresMergeNames("audit_native_actions", "month, action, native_action, native_key", postgresKnownNative("@org", "v.")),
}

// MergeNames merges what transactions under SERIALIZABLE have added of an organization to what search and the User
// filter look through, without looking for it: at most limit rows a table. It reports whether there may be more. On
// SQLite, where who records has looked, it does nothing.
func (s *Store) MergeNames(ctx context.Context, orgID int64, limit int) (more bool, err error) {
	if s.Dialect() != "postgres" {
		return false, nil
	}
	for _, merge := range postgresMerges {
		var merged int
		if err := s.Writer(ctx).Raw(merge, map[string]any{"org": orgID, "limit": limit}).Scan(&merged).Error; err != nil {
			return false, fmt.Errorf("merge names: %w", err)
		}
		more = more || merged == limit
	}
	return more, nil
}
