package entries

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// ResourceActivity is who did what to a resource in its latest thousand visible entries: the actors
// by when they were seen last, the actions by name.
type ResourceActivity struct {
	Actors  []models.Actor
	Actions []string
}

// ResourceActivity reads what a history can be filtered by.
func (l *Log) ResourceActivity(ctx context.Context, org models.Organization, entityType, entityID string) (ResourceActivity, error) {
	var rows []struct {
		models.Actor
		Action string
	}
	err := l.LogReader(ctx).Raw(`SELECT `+actorOfRow+`, action FROM audit_entries
WHERE org_id = ? AND entity_type = ? AND entity_id = ? AND audit_entries.id >= ? ORDER BY audit_entries.id DESC LIMIT ?`,
		org.ID, entityType, entityID, l.firstVisible(org), namesFromLatest).Scan(&rows).Error
	if err != nil {
		return ResourceActivity{}, fmt.Errorf("list who did what to %s %s in %s: %w", entityType, entityID, org.Slug, err)
	}
	var activity ResourceActivity
	for _, row := range rows {
		activity.Actors = append(activity.Actors, row.Actor)
		activity.Actions = append(activity.Actions, row.Action)
	}
	activity.Actors = distinctActors(activity.Actors)
	slices.Sort(activity.Actions)
	activity.Actions = slices.Compact(activity.Actions)
	return activity, nil
}

// ShortMetadata is an entry's metadata where it is short enough to be read for a list.
type ShortMetadata struct {
	ID       models.EntryID
	Metadata string
	TooLong  bool // then Metadata is empty
}

// ShortMetadata reads the metadata of some entries, of each at most limit bytes, in the order of entries.
// Those that have none, or that have expired meanwhile, are left out.
func (l *Log) ShortMetadata(ctx context.Context, org models.Organization, entries []models.Entry, limit int) ([]ShortMetadata, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	ids := make([]models.EntryID, len(entries))
	place := make(map[models.EntryID]int, len(entries))
	for i := range entries {
		ids[i], place[entries[i].ID] = entries[i].ID, i
	}
	var rows []ShortMetadata
	err := l.LogReader(ctx).Raw(`SELECT id, octet_length(metadata) > ? AS too_long,
	CASE WHEN octet_length(metadata) > ? THEN '' ELSE metadata END AS metadata
FROM audit_entries WHERE org_id = ? AND id IN ? AND octet_length(metadata) > 0`, limit, limit, org.ID, ids).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the metadata of entries of %s: %w", org.Slug, err)
	}
	slices.SortFunc(rows, func(a, b ShortMetadata) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	return rows, nil
}

// ResourceName is a name a resource had, and when it was last recorded under it.
type ResourceName struct {
	EntityName string
	LastSeen   models.Micros
}

// namesFromLatest is how many of a resource's entries are looked through for names: a resource
// that changes every minute must not make its page slow.
const namesFromLatest = 1000

// ResourceNames lists the names a resource had in its latest thousand visible entries, the one seen
// last first, at most limit.
func (l *Log) ResourceNames(ctx context.Context, org models.Organization, entityType, entityID string, limit int) ([]ResourceName, error) {
	var names []ResourceName
	err := l.LogReader(ctx).Raw(`SELECT entity_name, MAX(occurred_at) AS last_seen FROM (
	SELECT entity_name, occurred_at FROM audit_entries
	WHERE org_id = ? AND entity_type = ? AND entity_id = ? AND id >= ? ORDER BY id DESC LIMIT ?) AS latest
WHERE entity_name <> '' GROUP BY entity_name ORDER BY last_seen DESC, entity_name LIMIT ?`,
		org.ID, entityType, entityID, l.firstVisible(org), namesFromLatest, limit).Scan(&names).Error
	if err != nil {
		return nil, fmt.Errorf("list the names of %s %s in %s: %w", entityType, entityID, org.Slug, err)
	}
	return names, nil
}
