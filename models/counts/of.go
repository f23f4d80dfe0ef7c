package counts

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/following"
)

// Most is how many entries are counted one by one.
const Most = 10_000

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
}

// Of counts the entries that answer q.
func Of(ctx context.Context, log *entries.Log, org models.Organization, q entries.Query) (Answer, error) {
	t := tally{log: log, org: org, query: q, buckets: map[models.Quarter]*Bucket{}}
	if of, known := subjectOf(org, q); known {
		all, err := t.byCounts(ctx, of)
		if all || err != nil {
			return t.answer(all), err
		}
		clear(t.buckets)
	}
	all, err := t.oneByOne(ctx, q)
	return t.answer(all), err
}

// subjectOf is the subject that all entries which answer q are of, and no others but those before and after; known is
// false where there is none.
func subjectOf(org models.Organization, q entries.Query) (of subject, known bool) {
	switch {
	case org.Hidden.HidesActions(), len(q.Actions)+len(q.Actors) > 1:
		return subject{}, false
	case len(q.Actions) == 1:
		of.Action = q.Actions[0]
		_, whole := strings.CutSuffix(of.Action, entries.AnyVerb)
		known = !whole && !entries.IsNative(of.Action)
	case len(q.Actors) == 1:
		of.ActorID, known = q.Actors[0], true
	default:
		known = true
	}
	rest := len(q.Outcomes) + len(q.Terms)
	for _, text := range []string{q.EntityType, q.EntityID, q.IP, q.RequestID, q.APIKey, q.Source, q.Search} {
		rest += len(text)
	}
	return of, known && rest == 0
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
		b := *t.buckets[quarter]
		answer.Buckets = append(answer.Buckets, b)
		answer.Count += b.Succeeded + b.Failed
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

// byCounts takes whole quarters from the counts, and counts what is before and after them one by one. The counts know
// nothing of what was deleted; that lies before where the clean-up has got to.
func (t *tally) byCounts(ctx context.Context, of subject) (all bool, err error) {
	from := max(t.query.From, t.org.KeptSince(t.log.Now()))
	var cleaned models.Cleanup
	err = t.log.Reader(ctx).Where("org_id = ?", t.org.ID).Limit(1).Find(&cleaned).Error
	if err != nil {
		return false, fmt.Errorf("find how far the clean-up has got: %w", err)
	}
	first := models.QuarterFrom(max(from, models.MicrosOf(cleaned.CleanedTo.Occurred())+1))
	behind := models.Quarter(math.MaxInt32)
	if t.query.To != 0 {
		behind = models.QuarterOf(t.query.To)
	}
	if first >= behind {
		return false, nil
	}
	if all, err = t.whole(ctx, of, first, behind); !all || err != nil {
		return false, err
	}
	before, after := t.query, t.query
	before.From, before.To = from, first.Begin()
	if all, err = t.oneByOne(ctx, before); !all || err != nil || t.query.To == 0 {
		return all, err
	}
	if after.From = behind.Begin(); after.From == after.To {
		return true, nil
	}
	return t.oneByOne(ctx, after)
}

// attempts is how often the counts are read anew because they moved on meanwhile.
const attempts = 3

// whole takes the quarters from first to before behind from the counts, and of the entries what these do not hold yet.
// That may be too much: all is false then.
func (t *tally) whole(ctx context.Context, of subject, first, behind models.Quarter) (all bool, err error) {
	for range attempts {
		place, joined, err := following.PlaceOf(t.log.Reader(ctx), ConsumerName)
		if err != nil || !joined {
			return false, err
		}
		read, err := t.read(ctx, of, first, behind)
		if err != nil {
			return false, fmt.Errorf("read the counts of %s: %w", t.org.Slug, err)
		}
		unread, err := t.unread(ctx, place)
		if err != nil || len(unread) > Most {
			return false, err
		}
		// What was read is of one place where that is still the same.
		if now, _, err := following.PlaceOf(t.log.Reader(ctx), ConsumerName); err != nil {
			return false, err
		} else if now != place {
			continue
		}
		for i := range read {
			t.buckets[read[i].Quarter] = &read[i]
		}
		for i := range unread {
			e := &unread[i]
			if q := models.QuarterOf(e.OccurredAt); q >= first && q < behind && slices.Contains(subjectsOf(e), of) {
				t.add(e)
			}
		}
		return true, nil
	}
	return false, nil
}

// read reads the counts of quarters, of which there may be many: 90 days have 8,640.
func (t *tally) read(ctx context.Context, of subject, first, behind models.Quarter) (found []Bucket, err error) {
	rows, err := t.log.Reader(ctx).Raw("SELECT quarter, succeeded, failed FROM audit_counts "+
		"WHERE org_id = ? AND action = ? AND actor_id = ? AND quarter >= ? AND quarter < ?",
		t.org.ID, of.Action, of.ActorID, first, behind).Rows()
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

// unread are entries that the counts do not hold yet, at most one more than are counted one by one.
func (t *tally) unread(ctx context.Context, place following.Place) (found []models.Entry, err error) {
	condition, args, err := following.New(t.log.Store).Unread(place)
	if err != nil {
		return nil, err
	}
	ofOrganization := "org_id = ?"
	if t.log.Dialect() == "sqlite" {
		ofOrganization = "+org_id = ?" // the newest rows, rather than all of the organization
	}
	err = t.log.Reader(ctx).Raw("SELECT org_id, id, occurred_at, action, actor_id, outcome, parts FROM audit_entries WHERE "+
		ofOrganization+" AND "+condition+" LIMIT ?", append(append([]any{t.org.ID}, args...), Most+1)...).Scan(&found).Error
	if err != nil || len(found) > Most {
		return found, err
	}
	var withParts []*models.Entry
	for i := range found {
		if found[i].Parts > 0 {
			withParts = append(withParts, &found[i])
		}
	}
	if len(withParts) == 0 {
		return found, nil
	}
	return found, models.ReadParts(ctx, t.log.Reader(ctx), t.org.ID, withParts...)
}
