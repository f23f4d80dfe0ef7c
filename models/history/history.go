// Package history answers what a resource's history shows beside its entries.
package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// Resource is what the latest entries of a resource, and those it is related to, say of it.
type Resource struct {
	Names   []string       // that it had, the one seen last first
	Actors  []models.Actor // who did something to it, the one seen last first
	Actions []string       // what was done to it, by name
}

// resourceEntries is how many of a resource's entries are looked through: one that changes every minute must not
// make its page slow.
const resourceEntries = 1000

// Lately reads the latest thousand visible entries of a resource.
func Lately(ctx context.Context, log *entries.Log, org models.Organization, entityType, entityID string) (
	Resource, error,
) {
	page, err := log.Page(ctx, org, entries.Query{EntityType: entityType, EntityID: entityID, Limit: resourceEntries})
	var r Resource
	for _, e := range page.Entries {
		for _, resource := range append(e.Related, event.Resource{Type: e.EntityType, ID: e.EntityID, Name: e.EntityName}) {
			if resource.Type == entityType && resource.ID == entityID && resource.Name != "" && !slices.Contains(r.Names, resource.Name) {
				r.Names = append(r.Names, resource.Name)
			}
		}
		if !slices.ContainsFunc(r.Actors, func(a models.Actor) bool { return a.ID == e.ActorID }) {
			r.Actors = append(r.Actors, models.Actor{ID: e.ActorID, Name: e.ActorName, Email: e.ActorEmail, Type: e.ActorType})
		}
		r.Actions = append(r.Actions, e.Action)
	}
	slices.Sort(r.Actions)
	r.Actions = slices.Compact(r.Actions)
	return r, err
}

// ShortMetadata is an entry's metadata where it is short enough to be read for a list.
type ShortMetadata struct {
	ID       models.EntryID
	Metadata string
	TooLong  bool // then Metadata is empty
}

// ShortMetadataOf reads the metadata of some entries, of each at most limit bytes, in the order of entries.
// Those that have none, or that have expired meanwhile, are left out.
func ShortMetadataOf(
	ctx context.Context, store *models.Store, org models.Organization, entries []models.Entry, limit int,
) ([]ShortMetadata, error) {
	if len(entries) == 0 || org.Hidden.HidesMetadata() {
		return nil, nil
	}
	ids := make([]models.EntryID, len(entries))
	place := make(map[models.EntryID]int, len(entries))
	for i := range entries {
		ids[i], place[entries[i].ID] = entries[i].ID, i
	}
	var rows []ShortMetadata
	err := store.LogReader(ctx).Raw(`SELECT id, octet_length(metadata) > ? AS too_long,
	CASE WHEN octet_length(metadata) > ? THEN '' ELSE metadata END AS metadata
FROM audit_entries WHERE org_id = ? AND id IN ? AND octet_length(metadata) > 0`,
		limit, limit, org.ID, ids).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the metadata of entries of %s: %w", org.Slug, err)
	}
	slices.SortFunc(rows, func(a, b ShortMetadata) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	return rows, nil
}
