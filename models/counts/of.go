package counts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/following"
)

// Most is how many entries are counted one by one.
const Most = 10_000

// mostActions is of how many actions counts are added up.
const mostActions = 100

// Bucket is the entries of a quarter of an hour.
type Bucket struct {
	Quarter           models.Quarter
	Succeeded, Failed int
}

// Answer is how many entries answer a question, and when they occurred.
type Answer struct {
	Buckets []Bucket // those with entries, in the order of time
	Count   int
	// All reports that all were counted. Otherwise there are more than Count, or it would take too long to tell.
	All bool
	// Next is from where on Further counts, where not All were.
	Next *entries.Cursor
}

// Of counts the entries that answer q.
func Of(ctx context.Context, log *entries.Log, org models.Organization, q entries.Query) (Answer, error) {
	t := tally{log: log, org: org, query: q, buckets: map[models.Quarter]*Bucket{}}
	of, known, err := t.asked(ctx)
	if err != nil {
		return Answer{}, err
	}
	if known {
		all, err := t.byCounts(ctx, of)
		if all || err != nil {
			return t.answer(all), err
		}
	}
	return Further(ctx, log, org, q, Answer{})
}

// asked is which counts add up to an answer.
type asked struct {
	actions           []string // any of these; the empty one is all
	actorID           string   // empty for all
	succeeded, failed bool     // which of them
}

func (a asked) of(e *models.Entry) bool {
	return slices.ContainsFunc(subjectsOf(e), func(s subject) bool { return s.ActorID == a.actorID && slices.Contains(a.actions, s.Action) })
}

// asked is which counts add up to the answer; known is false where none do.
func (t *tally) asked(ctx context.Context) (of asked, known bool, err error) {
	q := t.query
	of = asked{actions: []string{""}, succeeded: true, failed: true}
	rest := len(q.Terms)
	for _, text := range []string{q.EntityType, q.EntityID, q.IP, q.RequestID, q.APIKey, q.Source, q.Search} {
		rest += len(text)
	}
	if t.org.Hidden.HidesActions() || rest > 0 || len(q.Actors) > 1 || len(q.Actors) == 1 && len(q.Actions) > 0 {
		return of, false, nil
	}
	if len(q.Actors) == 1 {
		of.actorID = q.Actors[0]
	}
	if len(q.Outcomes) > 0 {
		has := func(outcome event.Outcome) bool { return slices.Contains(q.Outcomes, outcome) }
		of.succeeded, of.failed = has(event.OutcomeSuccess), has(event.OutcomeFailure)
		if of.failed != has(event.OutcomeDenied) {
			return of, false, nil
		}
	}
	if len(q.Actions) > 0 {
		of.actions, known, err = t.recorded(ctx)
		return of, known, err
	}
	return of, true, nil
}

// recorded are the actions that the query asks for, one by one. known is false where native ones are among them.
func (t *tally) recorded(ctx context.Context) (actions []string, known bool, err error) {
	var kinds []entries.Kind
	for _, action := range t.query.Actions {
		entity, whole := strings.CutSuffix(action, entries.AnyVerb)
		switch {
		case entries.IsNative(action):
			return nil, false, nil
		case !whole:
			actions = append(actions, action)
			continue
		case kinds == nil:
			if kinds, err = t.log.Kinds(ctx, t.org); err != nil {
				return nil, false, err
			}
		}
		for _, kind := range kinds {
			if strings.HasPrefix(kind.Action, entity+":") {
				actions = append(actions, kind.Action)
			}
		}
	}
	slices.Sort(actions)
	actions = slices.Compact(actions)
	return actions, len(actions) > 0 && len(actions) <= mostActions, nil
}

// Given counts entries that were read already.
func Given(found []models.Entry) Answer {
	t := tally{buckets: map[models.Quarter]*Bucket{}}
	for i := range found {
		t.add(&found[i])
	}
	return t.answer(true)
}

// tally counts entries.
type tally struct {
	log     *entries.Log
	org     models.Organization
	query   entries.Query
	buckets map[models.Quarter]*Bucket
}

func (t *tally) in(quarter models.Quarter) *Bucket {
	b, found := t.buckets[quarter]
	if !found {
		b = &Bucket{Quarter: quarter}
		t.buckets[quarter] = b
	}
	return b
}

func (t *tally) add(e *models.Entry) {
	if b := t.in(models.QuarterOf(e.OccurredAt)); succeeded(e) {
		b.Succeeded++
	} else {
		b.Failed++
	}
}

func (t *tally) answer(all bool) Answer {
	answer := Answer{All: all}
	for _, quarter := range slices.Sorted(maps.Keys(t.buckets)) {
		if b := *t.buckets[quarter]; b.Succeeded+b.Failed > 0 {
			answer.Buckets = append(answer.Buckets, b)
			answer.Count += b.Succeeded + b.Failed
		}
	}
	return answer
}

// oneByOne counts the entries themselves; all is false where there are too many.
func (t *tally) oneByOne(ctx context.Context, q entries.Query) (all bool, err error) {
	found, all, err := t.log.First(ctx, t.org, q, Most)
	for i := range found {
		t.add(&found[i])
	}
	return all, err
}

// byCounts takes whole quarters from the counts, and counts what is before and after them one by one.
func (t *tally) byCounts(ctx context.Context, of asked) (all bool, err error) {
	first, behind, edges, err := t.quarters(ctx)
	if first >= behind || err != nil {
		return false, err
	}
	if all, err = t.whole(ctx, of, first, behind); !all || err != nil {
		return false, err
	}
	for _, edge := range edges {
		if all, err = t.oneByOne(ctx, edge); !all || err != nil {
			return all, err
		}
	}
	return true, nil
}

// quarters are the whole ones of the range of the query, from first to before behind, and the question of what is before
// and after them. The counts know nothing of what was deleted; that lies before where the clean-up has got to.
func (t *tally) quarters(ctx context.Context) (first, behind models.Quarter, edges []entries.Query, err error) {
	from := max(t.query.From, t.org.KeptSince(t.log.Now()))
	var cleaned models.Cleanup
	err = t.log.Reader(ctx).Where("org_id = ?", t.org.ID).Limit(1).Find(&cleaned).Error
	if err != nil {
		return 0, 0, nil, fmt.Errorf("find how far the clean-up has got: %w", err)
	}
	first = models.QuarterFrom(max(from, models.MicrosOf(cleaned.CleanedTo.Occurred())+1))
	behind = models.Quarter(math.MaxInt32)
	if t.query.To != 0 {
		behind = models.QuarterOf(t.query.To)
	}
	before, after := t.query, t.query
	before.From, before.To = from, first.Begin()
	edges = append(edges, before)
	if after.From = behind.Begin(); after.From < t.query.To {
		edges = append(edges, after)
	}
	return first, behind, edges, nil
}

// attempts is how often the counts are read anew because they moved on meanwhile.
const attempts = 3

// whole takes the quarters from first to before behind from the counts, and of the entries what these do not hold yet.
// That may be too much: all is false then.
func (t *tally) whole(ctx context.Context, of asked, first, behind models.Quarter) (all bool, err error) {
	var read []Bucket
	unread, all, err := t.atOnePlace(ctx, func() (err error) {
		read, err = t.read(ctx, of, first, behind)
		return err
	})
	if !all || err != nil {
		return false, err
	}
	for _, of := range read {
		b := t.in(of.Quarter)
		b.Succeeded += of.Succeeded
		b.Failed += of.Failed
	}
	for i := range unread {
		e := &unread[i]
		if q := models.QuarterOf(e.OccurredAt); q >= first && q < behind && of.of(e) {
			t.add(e)
		}
	}
	for _, b := range t.buckets {
		if !of.succeeded {
			b.Succeeded = 0
		}
		if !of.failed {
			b.Failed = 0
		}
	}
	return true, nil
}

// atOnePlace has read read the counts, and answers with the entries that they do not hold yet; all is false where these
// are too many, or nothing is counted.
func (t *tally) atOnePlace(ctx context.Context, read func() error) (unread []models.Entry, all bool, err error) {
	for range attempts {
		place, joined, err := following.PlaceOf(t.log.Reader(ctx), ConsumerName)
		if err != nil || !joined {
			return nil, false, err
		}
		unread, all, err = t.unread(ctx, place)
		switch {
		case errors.Is(err, following.ErrPlaceGone):
			continue
		case errors.Is(err, following.ErrElsewhere):
			return nil, false, nil // until the database is migrated
		}
		if err != nil || !all {
			return nil, false, err
		}
		if err := read(); err != nil {
			return nil, false, fmt.Errorf("read the counts of %s: %w", t.org.Slug, err)
		}
		// What was read is of one place where that is still the same.
		now, _, err := following.PlaceOf(t.log.Reader(ctx), ConsumerName)
		if now == place || err != nil {
			return unread, err == nil, err
		}
	}
	return nil, false, nil
}

// read reads the counts of quarters, of which there may be many: 90 days have 8,640 for each action. Each action is asked
// for by itself, or PostgreSQL may read all that the organization has in these quarters.
func (t *tally) read(ctx context.Context, of asked, first, behind models.Quarter) (found []Bucket, err error) {
	var each []string
	var args []any
	for _, action := range of.actions {
		each = append(each, "SELECT quarter, succeeded, failed FROM audit_counts WHERE org_id = ? AND action = ? AND actor_id = ? AND quarter >= ? AND quarter < ?")
		args = append(args, t.org.ID, action, of.actorID, first, behind)
	}
	rows, err := t.log.Reader(ctx).Raw(strings.Join(each, " UNION ALL "), args...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var b Bucket
		if err := rows.Scan(&b.Quarter, &b.Succeeded, &b.Failed); err != nil {
			return nil, err
		}
		found = append(found, b)
	}
	return found, rows.Err()
}

// unread are entries that the counts do not hold yet. all is false where more wait for whoever keeps the counts, of all
// organizations, than are counted one by one: after an upgrade that may be the whole log.
func (t *tally) unread(ctx context.Context, place following.Place) (found []models.Entry, all bool, err error) {
	batch, err := following.New(t.log.Store).Read(ctx, place, following.Needs{}, Most+1)
	if err != nil || batch.More {
		return nil, false, err
	}
	var withParts []*models.Entry
	for _, e := range batch.Entries {
		if e.OrgID == t.org.ID {
			found = append(found, e)
		}
	}
	for i := range found {
		if found[i].Parts > 0 {
			withParts = append(withParts, &found[i])
		}
	}
	if len(withParts) == 0 {
		return found, true, nil
	}
	return found, true, models.ReadParts(ctx, t.log.Reader(ctx), t.org.ID, withParts...)
}
