// Package history answers what the history of a resource, or of a person, shows beside its entries.
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

// Subject is whose history it is: a resource, or an actor.
type Subject struct {
	EntityType, EntityID string
	ActorID              string // then the others are empty
}

// In restricts a question to the subject.
func (s Subject) In(q entries.Query) entries.Query {
	if s.ActorID != "" {
		q.Actors = []string{s.ActorID}
	} else {
		q.EntityType, q.EntityID = s.EntityType, s.EntityID
	}
	return q
}

// Lately is what the latest visible entries of a subject say of it.
type Lately struct {
	Entries []models.Entry // newest first, as lists show them
	All     bool           // there are no others

	Names   []string       // that a resource had, the one seen last first
	Actors  []models.Actor // who did something to a resource, or how an actor was called, the one seen last first
	Actions []string       // what was done, by name

	First       models.Micros // when the first entry occurred that is still there; zero where that would take too long to find
	MostActions []Often[string]
	MostIPs     []Often[string]
	MostActors  []Often[models.Actor]   // of a resource
	MostTouched []Often[event.Resource] // by an actor
}

// Often is something that Count entries have.
type Often[T any] struct {
	Of    T
	Count int
}

const (
	// latelyEntries is how many entries are looked through: a resource that changes every minute must not make its page
	// slow.
	latelyEntries = 1000
	// mostShown is how many there are of whatever is most often.
	mostShown = 5
)

// LatelyOf reads the latest thousand visible entries of a subject, and its first one.
func LatelyOf(ctx context.Context, log *entries.Log, org models.Organization, of Subject) (l Lately, err error) {
	l.Entries, l.All, err = log.First(ctx, org, of.In(entries.Query{}), latelyEntries)
	if err != nil || len(l.Entries) == 0 {
		return l, err
	}
	l.First = l.Entries[len(l.Entries)-1].OccurredAt
	if !l.All {
		first, err := log.Page(ctx, org, of.In(entries.Query{Ascending: true, Limit: 1}))
		if err != nil {
			return l, err
		}
		if l.First = 0; len(first.Entries) > 0 {
			l.First = first.Entries[0].OccurredAt
		}
	}
	var touched []event.Resource
	var did []models.Actor
	for i := range l.Entries {
		e := &l.Entries[i]
		l.Actions = append(l.Actions, e.Action)
		own := event.Resource{Type: e.EntityType, ID: e.EntityID, Name: e.EntityName}
		actor := models.Actor{ID: e.ActorID, Name: e.ActorName, Email: e.ActorEmail, Type: e.ActorType}
		if of.ActorID != "" {
			if own.ID != "" {
				touched = append(touched, own)
			}
			if p := e.OnBehalfOf; p != nil && e.ActorID != of.ActorID {
				actor = models.Actor{ID: p.ID, Name: p.Name, Email: p.Email, Type: p.Type}
			}
			if !slices.Contains(l.Actors, actor) {
				l.Actors = append(l.Actors, actor)
			}
			continue
		}
		for _, r := range append(e.Related, own) {
			if r.Type == of.EntityType && r.ID == of.EntityID && r.Name != "" && !slices.Contains(l.Names, r.Name) {
				l.Names = append(l.Names, r.Name)
			}
		}
		did = append(did, actor)
		if !slices.ContainsFunc(l.Actors, func(a models.Actor) bool { return a.ID == e.ActorID }) {
			l.Actors = append(l.Actors, actor)
		}
	}
	itself := func(action string) string { return action }
	l.MostActions = mostOf(l.Actions, itself)
	l.MostActors = mostOf(did, func(a models.Actor) string { return a.ID })
	l.MostTouched = mostOf(touched, func(r event.Resource) [2]string { return [2]string{r.Type, r.ID} })
	slices.Sort(l.Actions)
	l.Actions = slices.Compact(l.Actions)
	l.MostIPs, err = mostIPs(ctx, log.Store, org, l.Entries)
	return l, err
}

// mostOf returns what is most often in a list, what is there by the same key being the same.
func mostOf[T any, K comparable](list []T, key func(T) K) (most []Often[T]) {
	place := map[K]int{}
	for _, of := range list {
		i, found := place[key(of)]
		if !found {
			i = len(most)
			place[key(of)] = i
			most = append(most, Often[T]{Of: of})
		}
		most[i].Count++
	}
	slices.SortStableFunc(most, func(a, b Often[T]) int { return b.Count - a.Count })
	return most[:min(len(most), mostShown)]
}

// mostIPs returns where most of some entries came from.
func mostIPs(ctx context.Context, store *models.Store, org models.Organization, entries []models.Entry) (most []Often[string], err error) {
	ids := make([]models.EntryID, len(entries))
	for i := range entries {
		ids[i] = entries[i].ID
	}
	var rows []struct {
		IP    string `gorm:"column:ip"`
		Count int
	}
	err = store.LogReader(ctx).Raw(`SELECT ip, COUNT(*) AS count FROM audit_entries WHERE org_id = ? AND id IN ? AND ip <> ''
GROUP BY ip ORDER BY COUNT(*) DESC, ip LIMIT ?`, org.ID, ids, mostShown).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read where entries of %s came from: %w", org.Slug, err)
	}
	for _, row := range rows {
		most = append(most, Often[string]{row.IP, row.Count})
	}
	return most, nil
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
