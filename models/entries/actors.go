package entries

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

const actorOfRow = "actor_id AS id, actor_name AS name, actor_email AS email"

// stillSeen restricts audit_actors, whose rows stay until their month has expired, to those with an
// entry that has not.
const stillSeen = `(SELECT true FROM audit_entries e WHERE e.org_id = audit_actors.org_id
	AND e.actor_key = audit_actors.actor_key AND e.actor_id = audit_actors.actor_id AND e.id >= ? LIMIT 1)`

// recentEntries is how many of the newest entries LatestActors looks at.
const recentEntries = 1000

// LatestActors lists those who acted last, latest first, system included: at first those of the
// newest entries, exactly; behind them others of the latest months. more says that there are others still.
func (l *Log) LatestActors(ctx context.Context, org models.Organization, limit int) (actors []models.Actor, more bool, err error) {
	kept := org.KeptSince(l.Now())
	for n := recentEntries / 10; err == nil && n <= recentEntries; n *= 10 { // the first ones nearly always do
		err = l.LogReader(ctx).Raw(`SELECT `+actorOfRow+` FROM audit_entries
WHERE org_id = ? AND id >= ? ORDER BY audit_entries.id DESC LIMIT ?`,
			org.ID, models.FirstEntryID(kept), n).Scan(&actors).Error
		all := len(actors) < n
		if actors = distinctActors(actors); all || len(actors) > limit {
			return actors[:min(len(actors), limit)], len(actors) > limit, err
		}
	}
	if err == nil {
		var others, known []models.Actor
		var whole bool
		others, whole, err = l.namedActors(ctx, org, condition{sql: "TRUE"}, "month DESC", idsOf(actors), limit+1-len(actors))
		if known = others; err == nil && !whole {
			known, err = l.ActorsByID(ctx, org, idsOf(others))
		}
		actors = append(actors, known...)
	}
	if err != nil {
		return nil, false, fmt.Errorf("list the latest actors of %s: %w", org.Slug, err)
	}
	return actors[:min(len(actors), limit)], len(actors) > limit, nil
}

// FindActors lists up to limit actors of whom a name, an e-mail or the ID contains text, ignoring case, by
// their newest names. more says that there are others still.
func (l *Log) FindActors(ctx context.Context, org models.Organization, text string, limit int) (actors []models.Actor, more bool, err error) {
	contains := condition{`search_key LIKE ? ESCAPE '\'`, []any{"%" + escapeLike(models.Fold(text)) + "%"}}
	found, _, err := l.namedActors(ctx, org, contains, "actor_key, actor_id", nil, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("find actors of %s: %w", org.Slug, err)
	}
	if more = len(found) > limit; more {
		found = found[:limit]
	}
	if actors, err = l.ActorsByID(ctx, org, idsOf(found)); err != nil {
		return nil, false, err
	}
	slices.SortStableFunc(actors, func(a, b models.Actor) int { return cmp.Compare(models.Fold(a.Name), models.Fold(b.Name)) })
	return actors, more, nil
}

// namedActors lists up to limit actors that can be seen and fulfil a condition on audit_actors, in an order of
// it, but none of those that are known. An actor has a row for each month and name: those of one that was found
// are left out of the next statement, so that none hides the others. whole says that none of them had another
// name in the rows, all of which were read.
func (l *Log) namedActors(ctx context.Context, org models.Organization, matching condition, order string, known []string, limit int) (actors []models.Actor, whole bool, err error) {
	kept := org.KeptSince(l.Now())
	whole = true
	for rows := limit * monthsKept; len(actors) < limit; {
		sql := `SELECT ` + actorOfRow + ` FROM audit_actors WHERE org_id = ? AND month >= ? AND ` + matching.sql
		args := append([]any{org.ID, models.MonthOf(kept)}, matching.args...)
		if out := slices.Concat(known, idsOf(actors)); len(out) > 0 {
			sql, args = sql+" AND actor_id NOT IN ?", append(args, out)
		}
		var found []models.Actor
		err := l.LogReader(ctx).Raw(sql+` AND `+stillSeen+` ORDER BY `+order+` LIMIT ?`, append(args, models.FirstEntryID(kept), rows)...).Scan(&found).Error
		if err != nil {
			return nil, false, err
		}
		for _, actor := range found {
			i := slices.IndexFunc(actors, func(a models.Actor) bool { return a.ID == actor.ID })
			if i < 0 {
				actors = append(actors, actor)
			} else if actors[i] != actor {
				whole = false
			}
		}
		if len(found) < rows {
			return actors[:min(len(actors), limit)], whole, nil
		}
		whole = false
	}
	return actors[:limit], whole, nil
}

func idsOf(actors []models.Actor) []string {
	ids := make([]string, len(actors))
	for i, actor := range actors {
		ids[i] = actor.ID
	}
	return ids
}

// monthsKept is in how many calendar months at most one actor can have entries.
const monthsKept = 13

// ActorsByID finds the newest name and e-mail of actors, in the order of ids. IDs of
// which the log holds nothing are left out.
func (l *Log) ActorsByID(ctx context.Context, org models.Organization, ids []string) ([]models.Actor, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	actors, err := l.actorsByID(ctx, org, ids)
	if err != nil {
		return nil, fmt.Errorf("find actors of %s: %w", org.Slug, err)
	}
	slices.SortFunc(actors, func(a, b models.Actor) int {
		return cmp.Compare(slices.Index(ids, a.ID), slices.Index(ids, b.ID))
	})
	return actors, nil
}

// actorName is a name that an actor had in a month, folded.
type actorName struct {
	ActorID  string
	ActorKey string
	Month    int
}

// actorsByID asks for the newest entry of each name that an actor had in their newest month.
func (l *Log) actorsByID(ctx context.Context, org models.Organization, ids []string) ([]models.Actor, error) {
	kept, most := org.KeptSince(l.Now()), l.bound.runs
	var names []actorName
	err := l.LogReader(ctx).Raw("SELECT actor_id, actor_key, month FROM audit_actors WHERE org_id = ? AND actor_id IN ? AND month >= ? LIMIT ?",
		org.ID, ids, models.MonthOf(kept), most*monthsKept).Scan(&names).Error
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b actorName) int {
		return cmp.Or(cmp.Compare(a.ActorID, b.ActorID), cmp.Compare(b.Month, a.Month), cmp.Compare(a.ActorKey, b.ActorKey))
	})
	set := runSet{columns: byUser, indexed: len(byUser)}
	names = slices.Compact(names)
	newest, had := 0, 0 // an actor's month, and how many names they had in it
	for i, name := range names {
		if i == 0 || names[i-1].ActorID != name.ActorID {
			newest, had = name.Month, 0
		}
		if name.Month != newest {
			continue
		}
		if had++; had <= max(1, most/len(ids)) {
			set.runs = append(set.runs, run{0, []string{name.ActorKey, name.ActorID}})
		}
	}
	found, err := l.read(ctx, reading{
		orgID: org.ID, span: span{models.FirstEntryID(kept), lastID}, newestFirst: true,
		each: 1, limit: len(set.runs), columns: actorColumns,
	}, set)
	if err != nil {
		return nil, err
	}
	actors := make([]models.Actor, len(found))
	for i, e := range found {
		actors[i] = models.Actor{ID: e.ActorID, Name: e.ActorName, Email: e.ActorEmail}
	}
	return distinctActors(actors), nil
}

// distinctActors keeps the first of each ID.
func distinctActors(actors []models.Actor) []models.Actor {
	seen := make(map[string]bool, len(actors))
	return slices.DeleteFunc(actors, func(a models.Actor) bool {
		known := seen[a.ID]
		seen[a.ID] = true
		return known
	})
}
