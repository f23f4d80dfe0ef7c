package models

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Actor is somebody the log names, as of then.
type Actor struct {
	ID    string
	Name  string
	Email string
}

const actorColumns = "actor_id AS id, actor_name AS name, actor_email AS email"

// stillSeen restricts audit_actors, whose rows stay until their month has expired, to those with an
// entry that has not.
const stillSeen = `(SELECT true FROM audit_entries e WHERE e.org_id = audit_actors.org_id
	AND e.actor_key = audit_actors.actor_key AND e.actor_id = audit_actors.actor_id AND e.id >= ? LIMIT 1)`

// recentEntries is how many of the newest entries LatestActors looks at.
const recentEntries = 1000

// LatestActors lists those who acted last, latest first, system included: at first those of the
// newest entries, exactly; behind them others of the latest months.
func (s *Store) LatestActors(ctx context.Context, org Organization, limit int) ([]Actor, error) {
	var latest, others []Actor
	kept := org.KeptSince(s.Now())
	var err error
	for n := recentEntries / 10; err == nil && n <= recentEntries; n *= 10 { // the first ones nearly always do
		err = s.LogReader(ctx).Raw(`SELECT `+actorColumns+` FROM audit_entries
WHERE org_id = ? AND id >= ? ORDER BY audit_entries.id DESC LIMIT ?`,
			org.ID, FirstEntryID(kept), n).Scan(&latest).Error
		all := len(latest) < n
		if latest = distinctActors(latest); all || len(latest) >= limit {
			break
		}
	}
	if err == nil && len(latest) < limit {
		err = s.LogReader(ctx).Raw(`SELECT `+actorColumns+` FROM audit_actors
WHERE org_id = ? AND month >= ? AND `+stillSeen+` ORDER BY month DESC LIMIT ?`,
			org.ID, MonthOf(kept), FirstEntryID(kept), recentEntries).Scan(&others).Error
	}
	if err != nil {
		return nil, fmt.Errorf("list the latest actors of %s: %w", org.Slug, err)
	}
	actors := distinctActors(append(latest, others...))
	return actors[:min(len(actors), limit)], nil
}

// FindActors lists up to limit actors whose name, e-mail or ID contains text, ignoring case, by
// name.
func (s *Store) FindActors(ctx context.Context, org Organization, text string, limit int) ([]Actor, error) {
	var actors []Actor
	kept := org.KeptSince(s.Now())
	err := s.LogReader(ctx).Raw(`SELECT `+actorColumns+` FROM audit_actors
WHERE org_id = ? AND month >= ? AND search_key LIKE ? ESCAPE '\' AND `+stillSeen+`
ORDER BY actor_key, actor_id, month DESC LIMIT ?`,
		org.ID, MonthOf(kept), "%"+escapeLike(Fold(text))+"%", FirstEntryID(kept), limit*monthsKept).Scan(&actors).Error
	if err != nil {
		return nil, fmt.Errorf("find actors of %s: %w", org.Slug, err)
	}
	actors = distinctActors(actors)
	return actors[:min(len(actors), limit)], nil
}

// monthsKept is in how many calendar months at most one actor can have entries.
const monthsKept = 13

// ActorsByID finds the latest name and e-mail of actors, in the order of ids. IDs of
// which the log holds nothing are left out.
func (s *Store) ActorsByID(ctx context.Context, org Organization, ids []string) ([]Actor, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var actors []Actor
	err := s.LogReader(ctx).Raw(`SELECT `+actorColumns+` FROM audit_actors
WHERE org_id = ? AND actor_id IN ? AND `+stillSeen+` ORDER BY month DESC`,
		org.ID, ids, FirstEntryID(org.KeptSince(s.Now()))).Scan(&actors).Error
	if err != nil {
		return nil, fmt.Errorf("find actors of %s: %w", org.Slug, err)
	}
	actors = distinctActors(actors)
	slices.SortFunc(actors, func(a, b Actor) int {
		return cmp.Compare(slices.Index(ids, a.ID), slices.Index(ids, b.ID))
	})
	return actors, nil
}

// distinctActors keeps the first of each ID.
func distinctActors(actors []Actor) []Actor {
	seen := make(map[string]bool, len(actors))
	return slices.DeleteFunc(actors, func(a Actor) bool {
		known := seen[a.ID]
		seen[a.ID] = true
		return known
	})
}
