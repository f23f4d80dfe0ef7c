// Package actors answers who acted in an organization's log: whom the User menu offers, and by which names people
// are shown. audit_actors has a row for each actor, name and month.
package actors

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// Of an actor, and of those who acted on behalf of one, this many of the newest entries are looked through where the
// reader may not see some: who has not done anything else since is not offered.
const lookedThrough = 500

// stillSeen is the newest visible entry of an actor under a name, of a row of audit_actors: rows stay until their
// month has expired.
func stillSeen(org models.Organization) string {
	const newest = ` FROM audit_entries e WHERE e.org_id = @org
	AND e.actor_key = audit_actors.actor_key AND e.actor_id = audit_actors.actor_id AND e.id >= @first
	ORDER BY e.id DESC LIMIT `
	if !org.Hidden.HidesActions() {
		return `(SELECT e.id` + newest + `1)`
	}
	return `(SELECT e.id FROM (SELECT e.id, e.action, e.native_action` + newest + strconv.Itoa(lookedThrough) + `) AS e
	WHERE true` + shows(org, "e") + ` ORDER BY e.id DESC LIMIT 1)`
}

// represented is the newest entry of what somebody did on behalf of an actor, of a row with an actor_id, as far as can be
// seen. It is no EXISTS, of which PostgreSQL may make a table of all for whom anybody acted.
func represented(org models.Organization, of string) string {
	newest := ` FROM audit_on_behalf_of AS o WHERE o.org_id = @org
	AND o.actor_id = ` + of + `.actor_id AND o.entry_id >= @first ORDER BY o.entry_id DESC LIMIT `
	if !org.Hidden.HidesActions() {
		return `(SELECT o.entry_id` + newest + `1)`
	}
	return `(SELECT o.entry_id FROM (SELECT o.entry_id` + newest + strconv.Itoa(lookedThrough) + `) AS o
	JOIN audit_entries AS e ON e.org_id = @org AND e.id = o.entry_id` + shows(org, "e") + ` ORDER BY o.entry_id DESC LIMIT 1)`
}

// shows is the condition that an entry of a table is not hidden, whose values withHidden adds.
func shows(org models.Organization, table string) string {
	sql, args := org.Hidden.Shows(table)
	for i := range args {
		sql = strings.Replace(sql, "?", "@hidden"+strconv.Itoa(i), 1)
	}
	return sql
}

// withHidden adds to the values of a statement those of shows.
func withHidden(org models.Organization, values map[string]any) map[string]any {
	_, args := org.Hidden.Shows("e")
	for i, arg := range args {
		values["hidden"+strconv.Itoa(i)] = arg
	}
	return values
}

// recentEntries is how many of the newest entries Latest looks at.
const recentEntries = 500

// Latest lists those who acted last, latest first, system included: at first those of the
// newest entries, exactly; behind them others of the latest months. more says that there are others still.
func Latest(ctx context.Context, store *models.Store, org models.Organization, limit int) (
	actors []models.Actor, more bool, err error,
) {
	err = store.LogReader(ctx).Raw(`SELECT actor_id AS id, actor_name AS name, actor_email AS email, actor_type AS type FROM (
	SELECT actor_id, actor_name, actor_email, actor_type, occurred_at, action, native_action FROM audit_entries
	WHERE org_id = @org AND id >= @first ORDER BY id DESC LIMIT @recent) AS newest
WHERE true`+shows(org, "newest")+` GROUP BY actor_id, actor_name, actor_email, actor_type ORDER BY MAX(occurred_at) DESC`,
		withHidden(org, map[string]any{
			"org": org.ID, "first": models.FirstEntryID(org.KeptSince(store.Now())), "recent": recentEntries,
		})).Scan(&actors).Error
	if err != nil {
		return nil, false, fmt.Errorf("list the latest actors of %s: %w", org.Slug, err)
	}
	if actors = distinct(actors); len(actors) <= limit {
		others, err := matching(ctx, store, org, "actor_id NOT IN @latest", sql.Named("latest", idsOf(actors)), "month DESC", limit+1-len(actors))
		if err != nil {
			return nil, false, err
		}
		named, err := ByID(ctx, store, org, others)
		if err != nil {
			return nil, false, err
		}
		actors = append(actors, named...)
	}
	return actors[:min(len(actors), limit)], len(actors) > limit, nil
}

// Find lists up to limit actors of whom a name, an e-mail or the ID contains text, ignoring case, by
// their newest names. more says that there are others still.
func Find(ctx context.Context, store *models.Store, org models.Organization, text string, limit int) (
	actors []models.Actor, more bool, err error,
) {
	pattern := "%" + models.EscapeLike(models.Fold(text)) + "%"
	found, err := matching(ctx, store, org, `search_key LIKE @pattern ESCAPE '\'`, sql.Named("pattern", pattern), "actor_key, actor_id", limit+1)
	if err != nil {
		return nil, false, err
	}
	if actors, err = ByID(ctx, store, org, found[:min(len(found), limit)]); err != nil {
		return nil, false, err
	}
	slices.SortStableFunc(actors, func(a, b models.Actor) int {
		return cmp.Compare(models.Fold(a.Name), models.Fold(b.Name))
	})
	return actors, len(found) > limit, nil
}

// monthsKept is in how many calendar months at most one actor can have entries.
const monthsKept = 13

// matching lists up to limit actors that can be seen and fulfil a condition on audit_actors, in an order of it. An
// actor has a row for each month and name: those of one that was found are left out of the next statement, so
// that none hides the others.
func matching(
	ctx context.Context, store *models.Store, org models.Organization,
	condition string, arg sql.NamedArg, order string, limit int,
) (ids []string, err error) {
	kept := org.KeptSince(store.Now())
	first := models.FirstEntryID(kept)
	for rows, all, also := limit*monthsKept, false, ""; !all && len(ids) < limit; {
		if len(ids) > 0 {
			also = " AND actor_id NOT IN @found"
		}
		var found []string
		values := withHidden(org, map[string]any{"org": org.ID, "month": models.MonthOf(kept), "first": first, "found": ids, "rows": rows, arg.Name: arg.Value})
		err := store.LogReader(ctx).Raw(`SELECT actor_id FROM audit_actors
WHERE org_id = @org AND month >= @month AND `+condition+also+` AND (`+stillSeen(org)+` IS NOT NULL OR `+represented(org, "audit_actors")+` IS NOT NULL) ORDER BY `+order+` LIMIT @rows`,
			values).Scan(&found).Error
		if err != nil {
			return nil, fmt.Errorf("find actors of %s: %w", org.Slug, err)
		}
		for _, id := range found {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		all = len(found) < rows
	}
	return ids[:min(len(ids), limit)], nil
}

func idsOf(actors []models.Actor) []string {
	ids := make([]string, len(actors))
	for i, actor := range actors {
		ids[i] = actor.ID
	}
	return ids
}

// mostNames is how many names ByID looks through, those of the latest months first.
const mostNames = 3000

// ByID finds the newest name and e-mail of actors, in the order of ids. IDs of which the log holds nothing
// are left out.
func ByID(ctx context.Context, store *models.Store, org models.Organization, ids []string) ([]models.Actor, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	// The newest entry under each name that one of them had, of which the newest of all has the actor's.
	kept := org.KeptSince(store.Now())
	var actors []models.Actor
	err := store.LogReader(ctx).Raw(actorAt("audit_entries.id")+`
	SELECT actor_id, `+stillSeen(org)+` AS newest FROM (
		SELECT actor_key, actor_id, MAX(month) AS latest FROM audit_actors
		WHERE org_id = @org AND actor_id IN @ids AND month >= @month GROUP BY actor_key, actor_id) AS audit_actors
	ORDER BY latest DESC LIMIT @most) AS names
WHERE newest IS NOT NULL ORDER BY newest DESC`, named(org, kept, ids)).Scan(&actors).Error
	if err != nil {
		return nil, fmt.Errorf("find actors of %s: %w", org.Slug, err)
	}
	actors = distinct(actors)
	if len(actors) < len(ids) {
		principals, err := represent(ctx, store, org, ids)
		if err != nil {
			return nil, err
		}
		actors = distinct(append(actors, principals...))
	}
	slices.SortFunc(actors, func(a, b models.Actor) int {
		return cmp.Compare(slices.Index(ids, a.ID), slices.Index(ids, b.ID))
	})
	return actors, nil
}

// named are the values of a statement that reads actors with some IDs.
func named(org models.Organization, kept models.Micros, ids []string) map[string]any {
	return withHidden(org, map[string]any{"org": org.ID, "ids": ids, "month": models.MonthOf(kept), "first": models.FirstEntryID(kept), "most": mostNames})
}

// actorAt begins a statement that reads actors as the rows with the IDs names.newest in column have them. They are
// subqueries, with a LIMIT around names, since PostgreSQL would rather join all rows of the organization.
func actorAt(column string) string {
	table, _, _ := strings.Cut(column, ".")
	of := " FROM " + table + " WHERE org_id = @org AND " + column + " = names.newest) AS "
	return "SELECT actor_id AS id, (SELECT actor_name" + of + "name, (SELECT actor_email" + of + "email, (SELECT actor_type" + of + "type FROM ("
}

// represent finds, of actors on whose behalf others acted, the newest name and e-mail they had then.
func represent(ctx context.Context, store *models.Store, org models.Organization, ids []string) (actors []models.Actor, err error) {
	kept := org.KeptSince(store.Now())
	err = store.LogReader(ctx).Raw(actorAt("audit_on_behalf_of.entry_id")+`
	SELECT actor_id, `+represented(org, "seen")+` AS newest
	FROM (SELECT DISTINCT actor_id FROM audit_actors WHERE org_id = @org AND actor_id IN @ids AND month >= @month) AS seen LIMIT @most) AS names
WHERE newest IS NOT NULL`, named(org, kept, ids)).Scan(&actors).Error
	if err != nil {
		return nil, fmt.Errorf("find on whose behalf others acted in %s: %w", org.Slug, err)
	}
	return actors, nil
}

// distinct keeps the first of each ID.
func distinct(actors []models.Actor) []models.Actor {
	seen := make(map[string]bool, len(actors))
	return slices.DeleteFunc(actors, func(a models.Actor) bool {
		before := seen[a.ID]
		seen[a.ID] = true
		return before
	})
}
