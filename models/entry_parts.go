package models

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// ReadParts fills in what stands in tables beside the entries of an organization: the related resources, and
// for whom their actors acted. It asks nothing of those that have all their Parts, which must have been read.
func ReadParts(ctx context.Context, db *gorm.DB, orgID int64, entries ...*Entry) error {
	d, err := dialectOf(db)
	if err != nil {
		return err
	}
	run, err := statementsOf(db)
	if err != nil {
		return err
	}
	byID := make(map[EntryID]*Entry, len(entries))
	for _, e := range entries {
		byID[e.ID] = e
	}
	return readParts(ctx, d, run, orgID, byID)
}

func readParts(ctx context.Context, d dialect, run Statements, orgID int64, entries map[EntryID]*Entry) error {
	maps.DeleteFunc(entries, func(_ EntryID, e *Entry) bool { return e.Parts == e.parts() })
	const most = 500 // IDs a statement
	for ids := range slices.Chunk(slices.Collect(maps.Keys(entries)), most) {
		among := d.idAmong(ids)
		err := queryRows(ctx, run, func(rows Rows) error {
			var id EntryID
			var position int
			var kind, resource, name, email, more string
			if err := rows.Scan(&id, &position, &kind, &resource, &name, &email, &more); err != nil {
				return err
			}
			if position == 0 {
				entries[id].OnBehalfOf = &event.Principal{Type: event.ActorType(kind), ID: resource, Name: name, Email: email, Session: more}
			} else {
				entries[id].Related = append(entries[id].Related, event.Resource{Type: kind, ID: resource, Name: name, Role: more})
			}
			return nil
		}, d.rebind(`SELECT entry_id AS id, position, entity_type, entity_id, entity_name, '', role FROM audit_related
				WHERE org_id = ? AND entry_`+among.sql+`
			UNION ALL SELECT entry_id, 0, actor_type, actor_id, actor_name, actor_email, session FROM audit_on_behalf_of
				WHERE org_id = ? AND entry_`+among.sql+`
			ORDER BY id, position`), slices.Concat([]any{orgID}, among.args, []any{orgID}, among.args)...)
		if err != nil {
			return fmt.Errorf("read what entries are related to: %w", err)
		}
	}
	return nil
}
