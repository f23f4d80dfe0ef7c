package entries

import (
	"context"
	"fmt"
	"slices"

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

// visible are those of the kinds that the reader may know of. Where some native actions are hidden that stand under an
// action, it is one of them if an entry is found within what a page may take.
func (l *Log) visible(ctx context.Context, org models.Organization, kinds []Kind) (shown []Kind, err error) {
	if !org.Hidden.HidesActions() {
		return kinds, nil
	}
	var natives []struct{ Action, NativeAction string }
	err = l.LogReader(ctx).Raw("SELECT DISTINCT action, native_action FROM audit_native_actions WHERE org_id = ?", org.ID).Scan(&natives).Error
	if err != nil {
		return nil, fmt.Errorf("list the native actions of %s: %w", org.Slug, err)
	}
	doubtful := map[string]bool{}
	for _, native := range natives {
		doubtful[native.Action] = doubtful[native.Action] || org.Hidden.HidesAction(native.NativeAction)
	}
	shown = []Kind{}
	for _, kind := range kinds {
		if org.Hidden.HidesAction(kind.Action) {
			continue
		}
		if doubtful[kind.Action] {
			page, err := l.Page(ctx, org, Query{Actions: []string{kind.Action}, EntityType: kind.EntityType, Limit: 1, Kinds: []Kind{kind}})
			if err != nil {
				return nil, err
			}
			if len(page.Entries) == 0 {
				continue
			}
		}
		shown = append(shown, kind)
	}
	return shown, nil
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
	if kinds, err = l.visible(ctx, org, kinds[n:]); err != nil {
		return nil, nil, err
	}
	return kinds, slices.DeleteFunc(registered, func(a action.Action) bool { return org.Hidden.HidesAction(string(a)) }), nil
}
