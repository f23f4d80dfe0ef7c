package handlers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/semaphore"

	"github.com/auditlogs/auditlogs/handlers/intake"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

const (
	// readTimeout is how long a request that reads may take, once it has its turn: no answer of the log takes
	// a tenth of it, and nobody waits longer for a page.
	readTimeout = 10 * time.Second
	// sharePatience is how long a request waits for its turn.
	sharePatience = 3 * time.Second
)

// Shares gives every organization a fair share of what may be done at once, in the order of asking: whoever
// asks of one organization for more than that waits, and others are not held up. nil has room for everything.
type Shares struct {
	each     int64
	patience time.Duration
	all      *semaphore.Weighted

	mu sync.Mutex
	by map[int64]*share

	waiting atomic.Int32
}

// Waiting is how many wait for a turn.
func (s *Shares) Waiting() int {
	if s == nil {
		return 0
	}
	return int(s.waiting.Load())
}

// share is what one organization may do at once. It is forgotten when nobody uses it.
type share struct {
	turns *semaphore.Weighted
	users int
}

// NewShares lets all be done at once, of which each may be of one organization.
func NewShares(all, each int64) *Shares {
	return &Shares{each: each, patience: sharePatience, all: semaphore.NewWeighted(all), by: map[int64]*share{}}
}

// NewQuestionShares are the shares of questions to a store: of the connections that it reads by some are left
// for finding out who asks, and one organization gets half of a file's and a quarter of a server's.
func NewQuestionShares(store *models.Store) *Shares {
	if store.Dialect() == "sqlite" {
		return NewShares(3, 2)
	}
	return NewShares(16, 5)
}

// NewExportShares are the shares of exports under way.
func NewExportShares() *Shares { return NewShares(12, 3) }

// NewCountingShares are the shares of counting on entry by entry: one at a time of an organization.
func NewCountingShares() *Shares { return NewShares(2, 1) }

// Take waits for a turn of an organization, but not for long. Errors: intake.ErrBusy, or the context's. Whoever
// took gives back.
func (s *Shares) Take(ctx context.Context, orgID int64) (giveBack func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	waiting, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	giveBack, err = s.Await(waiting, orgID)
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w for one organization", intake.ErrBusy)
	}
	return giveBack, err
}

// Await waits for a turn of an organization as long as ctx lasts.
func (s *Shares) Await(ctx context.Context, orgID int64) (giveBack func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	turns := s.use(orgID)
	if err := turns.Acquire(ctx, 1); err != nil {
		s.leave(orgID)
		return nil, err
	}
	if err := s.all.Acquire(ctx, 1); err != nil {
		turns.Release(1)
		s.leave(orgID)
		return nil, err
	}
	return sync.OnceFunc(func() {
		s.all.Release(1)
		turns.Release(1)
		s.leave(orgID)
	}), nil
}

func (s *Shares) use(orgID int64) *semaphore.Weighted {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.by[orgID]
	if of == nil {
		of = &share{turns: semaphore.NewWeighted(s.each)}
		s.by[orgID] = of
	}
	of.users++
	return of.turns
}

func (s *Shares) leave(orgID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[orgID].users--; s.by[orgID].users == 0 {
		delete(s.by, orgID)
	}
}

// FairlyShared is middleware for what reads of an organization, after it is known which: it waits for the
// organization's turn, and bounds how long answering takes.
func (h *Handlers) FairlyShared(c *fiber.Ctx) error {
	if c.Method() != fiber.MethodGet && c.Method() != fiber.MethodHead {
		return c.Next()
	}
	org := scopeOf(c).Organization.ID
	if InAPI(c) {
		org = callerOf(c).org.ID
	}
	ctx := contextOf(c)
	giveBack, err := h.Questions.Take(ctx, org)
	if err != nil {
		return err
	}
	defer giveBack()
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	c.SetUserContext(reading)
	defer c.SetUserContext(ctx) // saving the session is not part of it
	return c.Next()
}

// inTurns reads an organization's entries in its turns, for as long as it takes, and lets others have theirs
// while fn does something with what was read.
func (h *Handlers) inTurns(ctx context.Context, org models.Organization, query entries.Query, fn func([]models.Entry) error) (err error) {
	turn, err := h.Questions.Await(ctx, org.ID)
	if err != nil {
		return err
	}
	defer func() { turn() }()
	return h.Entries.Each(models.AsBefore(ctx), org, query, func(entries []models.Entry) error {
		turn()
		if err := fn(entries); err != nil {
			return err
		}
		next, err := h.Questions.Await(ctx, org.ID)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		turn = next
		return nil
	})
}
