package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// Run keeps the large organization busy: something happens every few seconds, until ctx ends,
// which is no error. store has been prepared. What cannot be recorded for a moment (a busy
// database) is logged, and life goes on.
func Run(ctx context.Context, store *models.Store, logger *slog.Logger) error {
	life, err := goOn(ctx, store)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run the demo: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(life.pause()):
		}
		err := life.step(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, audit.ErrNoOrganization) || errors.Is(err, audit.ErrOrganizationClosed) {
			return nil // somebody deleted the organization: it rests
		}
		if err != nil {
			logger.Warn("the demo could not record what happened", "error", err)
		}
	}
}

// life is the large organization's present.
type life struct {
	store *models.Store
	world *world
	done  []happening // what the latest step reported
}

// goOn takes up the organization where the fill left it: the same world, lived through once more
// without recording, since every demo is the same seen from its mark.
func goOn(ctx context.Context, store *models.Store) (*life, error) {
	filled, found, err := readMark(store.Reader(ctx))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.New("the database has not been prepared")
	}
	userIDs := map[string]string{}
	people := accounts.NewStore(store)
	for _, p := range northwindPeople() {
		if !p.account {
			continue
		}
		switch user, err := people.UserByEmail(ctx, p.email); {
		case err == nil:
			userIDs[p.email] = user.ID
		case !errors.Is(err, models.ErrNotFound):
			return nil, err
		}
	}
	l := &life{store: store, world: northwind(filled)}
	l.world.know(userIDs)
	l.world.liveUntil(filled)
	l.world.agenda.items = nil
	l.world.start, l.world.end = filled, filled.AddDate(1000, 0, 0)
	// What happens from here on is not the same after every restart.
	l.world.rng = rngAt(store.Now())
	l.world.report = func(h happening) { l.done = append(l.done, h) }
	return l, nil
}

// pause is how long nothing happens: a few seconds, and now and then a longer silence.
func (l *life) pause() time.Duration {
	seconds := 3 + l.world.rng.ExpFloat64()*5
	return time.Duration(min(seconds, 25) * float64(time.Second))
}

// step lets something happen and records it, in one transaction.
func (l *life) step(ctx context.Context) error {
	l.done = nil
	l.world.act(l.store.Now())
	if len(l.done) == 0 {
		return nil
	}
	return l.store.Transaction(ctx, func(tx *gorm.DB) error {
		for _, h := range l.done {
			if _, err := record(ctx, tx, h); err != nil {
				return err
			}
		}
		return nil
	})
}

// act lets one thing happen at now: one that follows from an earlier one, without the minutes it
// would take, or a new one.
func (w *world) act(now time.Time) {
	w.now = now
	if w.agenda.Len() > 0 && w.chance(0.6) {
		w.next(now)
		return
	}
	if w.chance(0.3) {
		w.choose(automatic)(w, nil)
		return
	}
	p := w.somebodyAwake()
	w.choose(p.duties)(w, p)
}

// somebodyAwake picks one of those at work now; at hours when nobody is, whoever is on call.
func (w *world) somebodyAwake() *person {
	var awake []*person
	for _, p := range w.people {
		local := w.now.In(p.zone)
		weekday := local.Weekday() != time.Saturday && local.Weekday() != time.Sunday
		if weekday && local.Hour() >= p.begins && local.Hour() < p.ends {
			awake = append(awake, p)
		}
	}
	if len(awake) == 0 {
		return w.person(pick(w, []string{lucas, daniel}))
	}
	return pick(w, awake)
}

// automatic is what happens without anybody.
var automatic = []weighted{
	{2, func(w *world, _ *person) {
		w.autoscale(pick(w, []string{"tracking-api", "event-ingest", "web-dashboard", "webhook-relay"}), pick(w, []int{-3, -2, -1, 1, 2, 3}))
	}},
	{3, func(w *world, _ *person) { merge(w, pick(w, w.people)) }},
	{2, func(w *world, _ *person) { preview(w, pick(w, w.people)) }},
	{1, func(w *world, _ *person) { w.scan(w.auto("scheduler"), pick(w, w.applications())) }},
	{1, func(w *world, _ *person) { w.removePreviews(0.1) }},
	{0.7, func(w *world, _ *person) { w.agentDeploys(w.person(pick(w, []string{tomasz, priya, sofia})), "") }},
	{0.5, func(w *world, _ *person) {
		s := w.service("web-dashboard")
		w.renewCertificate(s, pick(w, s.domains), "expiring")
	}},
}
