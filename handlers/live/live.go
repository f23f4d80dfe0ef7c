// Package live hands entries to those who watch lists of them, as they are committed.
//
// One reader a server follows the log, in the order of commits, while anybody watches. Of what it reads each question that
// is watched is asked once, by the IDs (entries.Log.Among), however many watch it; so what matches is decided where it is
// for pages. A place in the order of commits is one on every server: whoever comes back with it, wherever, is handed what
// lies between it and where the reader there is, and goes on from there: no entry is skipped, none comes twice.
//
// Nothing waits for those who watch. Who is too slow, and who watches a question that takes too long, is let go, and comes
// back with a place.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/following"
)

var (
	// ErrFull reports that as many watch as the server bears.
	ErrFull = errors.New("as many follow the log as this server bears")
	// ErrFullPerson reports that one person watches as much as one may.
	ErrFullPerson = errors.New("one person follows the log as often as one may")
	// ErrEnded reports that a Watch is at its end: whoever watches comes back with the place of the last Frame.
	ErrEnded = errors.New("the watch has ended")
)

// Bounds are what one server bears. A watch costs some 30 kB, with its connection.
type Bounds struct {
	All, Organization, Person int // watches
	Questions                 int // different ones, of which one organization has at most OrganizationQuestions
	OrganizationQuestions     int
}

// Usual are the bounds of a server. Browsers have six streams at most; but one that a browser has left, as it does whenever
// an entry is opened, counts until the server writes to it again.
var Usual = Bounds{All: 1200, Organization: 1000, Person: 20, Questions: 100, OrganizationQuestions: 80}

const (
	// Interval is how often the log is looked at.
	Interval = time.Second
	// soonest is after how long it is looked at again where somebody comes, who waits for that.
	soonest = 100 * time.Millisecond
	// batch is how many entries are asked of together.
	batch = 250
	// waiting is how many batches of a question may wait to be asked.
	waiting = 20
	// keptBytes is how much is kept for those who are behind, of all questions: rowBytes an entry, and its metadata.
	keptBytes, rowBytes = 16 << 20, 4 << 10
	// asking is how many questions are asked at once, and arriving for how many who come back it is found out what they missed.
	asking, arriving = 2, 4
	// patience is how long a question may take, and how long who comes waits for the reader.
	patience = 5 * time.Second
	// attempts are how often something is tried again, after pause.
	attempts, pause = 3, 500 * time.Millisecond
	// most is how many entries a watch that comes back catches up with.
	most = 1000
)

// Server is what those who watch on one server share.
type Server struct {
	log    *entries.Log
	source *following.Log
	places *secrets.Shared
	errors *slog.Logger
	bounds Bounds
	ctx    context.Context // ends with the server
	turns  chan struct{}   // of questions
	missed chan struct{}   // turns of those who come back
	wake   chan struct{}

	watching sync.WaitGroup

	mu        sync.Mutex
	questions map[string]*question
	watches   map[any]int // by person, by organization and, under nil, all
	reading   bool
	joining   []*Watch
	numbered  int             // how many frames there have been
	kept      int             // bytes of those that are kept
	place     following.Place // what is behind it has not been handed to the questions
}

// New is a server whose reader reads until ctx ends. places seals what those who watch come back with.
func New(ctx context.Context, log *entries.Log, places *secrets.Shared, errors *slog.Logger, bounds Bounds) *Server {
	return &Server{
		log: log, source: following.New(log.Store), places: places, errors: errors, bounds: bounds, ctx: ctx,
		turns: make(chan struct{}, asking), missed: make(chan struct{}, arriving), wake: make(chan struct{}, 1),
		questions: map[string]*question{}, watches: map[any]int{},
	}
}

// Watches returns how many watch.
func (s *Server) Watches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches[nil]
}

// Ended reports whether the server has ended: nobody is handed anything more.
func (s *Server) Ended() bool { return s.ctx.Err() != nil }

// Wait returns when nobody watches any more. Nobody may begin to meanwhile.
func (s *Server) Wait() { s.watching.Wait() }

// Asked is who asks what.
type Asked struct {
	Person       string
	Organization models.Organization
	Key          string // the same for everybody who asks the same of the organization
	Query        entries.Query
}

// Watch is a question that somebody watches. It is of one goroutine.
type Watch struct {
	server   *Server
	question *question
	person   string
	box      *secrets.Box
	joined   chan struct{} // closed when the reader has come by, which sets what follows
	err      error
	begun    bool
	ended    bool
	next     int             // the number of the frame that comes next
	place    following.Place // of what has been handed over
}

// Watch begins to watch: what is committed from now on, and before that what was since a place, as Watch.Place or
// Watch.Next gave it, here or on another server. That is the first frame; it is nil where place is none, too old, or before
// too much: whoever watches has to read the list anew. Whoever watches ends it.
func (s *Server) Watch(ctx context.Context, asked Asked, place string) (w *Watch, first *Frame, err error) {
	box, err := s.places.Box(ctx)
	if err != nil {
		return nil, nil, err
	}
	w, err = s.join(asked)
	if err != nil {
		return nil, nil, err
	}
	w.box = box
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-w.joined:
		err = w.err
	case <-waiting.Done():
		err = fmt.Errorf("wait for who reads the log: %w", waiting.Err())
	}
	if since := s.opened(box, asked.Organization.ID, place); err == nil && since != nil {
		first, err = w.since(*since)
	}
	if err != nil {
		w.End()
		return nil, nil, err
	}
	return w, first, nil
}

// since is what lies between a place and that of the watch. The reader has looked at the log after it was asked, so that
// its place is behind every other that was known before.
func (w *Watch) since(place following.Place) (*Frame, error) {
	s, asked := w.server, w.question.asked
	s.missed <- struct{}{}
	defer func() { <-s.missed }()
	ctx, cancel := context.WithTimeout(s.ctx, patience) // not the request's: copies may not know yet what the primary does
	defer cancel()
	ids, err := s.source.Between(ctx, asked.Organization.ID, place, w.place, most+1)
	switch {
	case errors.Is(err, following.ErrPlaceGone), len(ids) > most:
		return nil, nil
	case err != nil:
		return nil, err
	}
	found, err := s.log.Among(ctx, asked.Organization, asked.Query, ids)
	if errors.Is(err, entries.ErrTooLong) {
		return nil, nil
	}
	return &Frame{Entries: found, place: w.place}, err
}

// join counts a watch, and has the reader come by.
func (s *Server) join(asked Asked) (*Watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.questions[asked.Key]
	switch {
	case s.watches[person(asked.Person)] >= s.bounds.Person:
		return nil, ErrFullPerson
	case s.watches[nil] >= s.bounds.All, s.watches[asked.Organization.ID] >= s.bounds.Organization, q == nil && s.fullOfQuestions(asked.Organization.ID):
		return nil, ErrFull
	}
	if q == nil {
		q = &question{asked: asked, changed: make(chan struct{})}
		s.questions[asked.Key] = q
	}
	w := &Watch{server: s, question: q, person: asked.Person, joined: make(chan struct{})}
	q.watches++
	w.count(1)
	s.watching.Add(1)
	s.joining = append(s.joining, w)
	if !s.reading {
		s.reading = true
		go s.read()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return w, nil
}

// fullOfQuestions reports whether no question more may be watched, or none of an organization. The caller holds mu.
func (s *Server) fullOfQuestions(orgID int64) bool {
	ofOrganization := 0
	for _, q := range s.questions {
		if q.asked.Organization.ID == orgID {
			ofOrganization++
		}
	}
	return len(s.questions) >= s.bounds.Questions || ofOrganization >= s.bounds.OrganizationQuestions
}

// person keeps those who watch apart from organizations.
type person string

// count counts the watch, or no more. The caller holds mu.
func (w *Watch) count(n int) {
	for _, by := range []any{nil, person(w.person), w.question.asked.Organization.ID} {
		if w.server.watches[by] += n; w.server.watches[by] == 0 {
			delete(w.server.watches, by)
		}
	}
}

// End ends the watch.
func (w *Watch) End() {
	defer w.server.watching.Done()
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	w.ended = true
	w.count(-1)
	q := w.question
	if w.begun {
		q.begun--
		for number := max(w.next, q.first); number < q.numbered; number++ {
			if at := number - q.first; at < len(q.frames) {
				q.frames[at].awaited--
			} else if at -= len(q.frames); at < len(q.waiting) {
				q.waiting[at].awaited--
			}
		}
		w.server.trim(q)
	}
	if q.watches--; q.watches == 0 {
		w.server.end(q)
	}
}

// Place is where to come back to behind everything the watch has been handed.
func (w *Watch) Place() string {
	w.server.mu.Lock()
	if q := w.question; w.next == q.numbered && !q.ended {
		w.place = w.server.place
	}
	place := w.place
	w.server.mu.Unlock()
	return w.server.sealed(w.box, w.question.asked.Organization.ID, place)
}

// PlaceOf is where to come back to behind a frame: the same for all who watch the organization.
func (w *Watch) PlaceOf(frame *Frame) string {
	return w.server.sealed(w.box, w.question.asked.Organization.ID, frame.place)
}

// Next waits for the next frame that says something. Errors: that of ctx, or ErrEnded.
func (w *Watch) Next(ctx context.Context) (*Frame, error) {
	for {
		frame, changed, err := w.look()
		switch {
		case err != nil:
			return nil, err
		case frame != nil && (len(frame.Entries) > 0 || frame.Access):
			return frame, nil
		case frame != nil:
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.server.ctx.Done():
			return nil, ErrEnded
		}
	}
}

// look returns the next frame, or what is closed when there is one.
func (w *Watch) look() (*Frame, <-chan struct{}, error) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	q := w.question
	switch at := w.next - q.first; {
	case q.ended, w.ended, at < 0:
		return nil, nil, ErrEnded
	case at < len(q.frames):
		frame := q.frames[at]
		frame.awaited--
		w.next, w.place = w.next+1, frame.place
		w.server.trim(q)
		return frame, nil, nil
	}
	return nil, q.changed, nil
}
