package entries

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

// Kind is a pair of entity type and action that the organization's log holds.
type Kind struct {
	EntityType string
	Action     string
}

// kindsSQL reads the distinct pairs by one index seek each (a "loose index scan"), where SELECT DISTINCT would
// read every entry, and registered actions as pairs without a type. It leaves out kinds of which every entry has
// expired. That condition is a subquery with a limit and an order, not EXISTS: PostgreSQL makes a join of that,
// which reads every entry until its statistics are fresh.
const kindsSQL = `
WITH RECURSIVE types(entity_type) AS (
	SELECT (SELECT MIN(entity_type) FROM audit_entries WHERE org_id = @org)
	UNION ALL
	SELECT (SELECT MIN(e.entity_type) FROM audit_entries e WHERE e.org_id = @org AND e.entity_type > types.entity_type)
	FROM types WHERE types.entity_type IS NOT NULL
), kinds(entity_type, action) AS (
	SELECT entity_type, (SELECT MIN(e.action) FROM audit_entries e
		WHERE e.org_id = @org AND e.entity_type = types.entity_type)
	FROM types WHERE types.entity_type IS NOT NULL
	UNION ALL
	SELECT entity_type, (SELECT MIN(e.action) FROM audit_entries e
		WHERE e.org_id = @org AND e.entity_type = kinds.entity_type AND e.action > kinds.action)
	FROM kinds WHERE kinds.action IS NOT NULL
)
SELECT entity_type, action FROM kinds
WHERE action IS NOT NULL AND (SELECT true FROM audit_entries e
	WHERE e.org_id = @org AND e.entity_type = kinds.entity_type AND e.action = kinds.action AND e.id >= @kept
	ORDER BY e.id LIMIT 1)
UNION ALL SELECT '', action FROM audit_registered_actions ORDER BY entity_type, action`

// Kinds lists what the organization's log holds, by entity type, then action.
func (l *Log) Kinds(ctx context.Context, org models.Organization) ([]Kind, error) {
	kinds, _, err := l.ActionMenu(ctx, org)
	return kinds, err
}

// ActionMenu lists the kinds as Kinds does, and the actions that applications have registered (action.Register),
// in alphabetical order.
func (l *Log) ActionMenu(ctx context.Context, org models.Organization) (
	kinds []Kind, registered []action.Action, err error,
) {
	kinds = []Kind{} // not nil: none is an answer, too
	named := map[string]any{"org": org.ID, "kept": models.FirstEntryID(org.KeptSince(l.Now()))}
	if err := l.LogReader(ctx).Raw(kindsSQL, named).Scan(&kinds).Error; err != nil {
		return nil, nil, fmt.Errorf("list the kinds of entries of %s: %w", org.Slug, err)
	}
	n := 0 // every entry has a type, so those without one come first
	for ; n < len(kinds) && kinds[n].EntityType == ""; n++ {
		registered = append(registered, action.Action(kinds[n].Action))
	}
	return kinds[n:], registered, nil
}
