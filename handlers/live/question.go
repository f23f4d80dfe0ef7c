package live

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/following"
)

// question is what some watch. The server's mutex guards it.
type question struct {
	asked    Asked
	watches  int
	begun    int // of them: those who are handed what comes
	waiting  []committed
	asking   bool // a goroutine asks the first of waiting
	numbered int  // how many frames there have been, with those of waiting

	frames  []*Frame // that somebody has not been handed
	first   int      // the number of the first of them, or of the next one
	changed chan struct{}
	ended   bool
}

// committed is entries of the question's organization, and the place behind them.
type committed struct {
	ids     []models.EntryID
	place   following.Place
	access  bool // see Frame
	awaited int  // how many are to be handed them
}

// changesAccess are the actions by which somebody may read less from then on. Their entries are committed with that.
var changesAccess = []action.Action{action.MemberRemove, action.MemberRoleUpdate, action.RoleRestrict, action.UserSignOut,
	action.UserSessionEnd, action.UserPasswordReset, action.UserPasswordChange, action.OrganizationDelete}

// Frame is what was committed since the frame before: the entries of it that answer the question, newest first.
type Frame struct {
	Entries []models.Entry
	// Access reports that what somebody may read of the organization may have changed since the frame before.
	Access bool

	place    following.Place // behind it
	number   int             // of all frames of the server
	awaited  int             // how many are to be handed it
	bytes    int
	mu       sync.Mutex
	rendered map[string][]byte
}

// mostWays is in how many ways what is made of a frame is kept with it: its bound is of entries.
const mostWays = 8

// Rendered is what render makes of the frame, once for all who are shown it in the same way, as long as there are few ways.
func (f *Frame) Rendered(way string, render func() ([]byte, error)) (text []byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if text, done := f.rendered[way]; done {
		return text, nil
	}
	if text, err = render(); err != nil || len(f.rendered) == mostWays {
		return text, err
	}
	if f.rendered == nil {
		f.rendered = map[string][]byte{}
	}
	f.rendered[way] = text
	return text, nil
}

// read hands what is committed to the questions, as long as somebody watches.
func (s *Server) read() {
	begun, failures := false, 0
	for {
		place, joining, watched := s.begin()
		if !watched {
			return
		}
		var read following.Batch
		err := s.ctx.Err()
		switch {
		case err != nil:
		case begun:
			read, err = s.source.Read(s.ctx, place, following.Needs{}, batch)
		default:
			read.Next, err = s.source.Now(s.ctx)
		}
		if err == nil {
			begun, failures = true, 0
			if s.hand(read, joining); !read.More {
				s.sleep(soonest, nil)
				s.sleep(Interval-soonest, s.wake)
			}
			continue
		}
		failures++
		if s.ctx.Err() != nil || failures >= attempts || errors.Is(err, following.ErrPlaceGone) {
			begun = false
			s.giveUp(err, joining)
		} else {
			s.await(joining)
		}
		s.sleep(pause, nil)
	}
}

// begin returns where to read, and who waits for that; watched is false where nobody does any more.
func (s *Server) begin() (place following.Place, joining []*Watch, watched bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	joining, s.joining = s.joining, nil
	s.reading = s.watches[nil] > 0
	return s.place, joining, s.reading
}

// hand has each question of an organization be asked of what was committed there, and lets those begin who waited where
// all was read that there is.
func (s *Server) hand(read following.Batch, joining []*Watch) {
	byOrganization := map[int64]committed{}
	for i := range read.Entries {
		e := &read.Entries[i]
		of := byOrganization[e.OrgID]
		of.ids, of.place = append(of.ids, e.ID), read.Next
		of.access = of.access || slices.Contains(changesAccess, action.Action(e.Action))
		byOrganization[e.OrgID] = of
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place = read.Next
	for _, q := range s.questions {
		of, some := byOrganization[q.asked.Organization.ID]
		switch {
		case !some:
			continue
		case q.later(of):
			continue
		case len(q.waiting) >= waiting:
			s.end(q)
			continue
		}
		of.awaited = q.begun
		q.waiting = append(q.waiting, of)
		if q.numbered++; !q.asking {
			q.asking = true
			go s.ask(q)
		}
	}
	if read.More {
		s.joining = append(joining, s.joining...)
		return
	}
	for _, w := range joining {
		if w.ended { // it would not wait for so long
			continue
		}
		w.next, w.place = w.question.numbered, read.Next
		w.begun = true
		w.question.begun++
		close(w.joined)
	}
}

// later has entries be asked of together with those before them, where these wait still and nobody has come since.
func (q *question) later(of committed) bool {
	last := len(q.waiting) - 1
	if last < 1 {
		return false
	}
	before := &q.waiting[last]
	if before.awaited != q.begun || len(before.ids)+len(of.ids) > batch {
		return false
	}
	before.ids, before.place, before.access = append(before.ids, of.ids...), of.place, before.access || of.access
	return true
}

// ask asks a question until nothing waits for it.
func (s *Server) ask(q *question) {
	for {
		s.mu.Lock()
		if q.asking = len(q.waiting) > 0 && !q.ended; !q.asking {
			s.mu.Unlock()
			return
		}
		next := q.waiting[0]
		s.mu.Unlock()
		found, err := s.among(q.asked, next.ids)
		s.mu.Lock()
		switch {
		case q.ended:
		case err != nil:
			s.say(err)
			s.end(q)
		default:
			next, q.waiting = q.waiting[0], q.waiting[1:] // some may have left
			s.add(q, &Frame{Entries: found, Access: next.access, place: next.place, awaited: next.awaited})
		}
		s.mu.Unlock()
	}
}

func (s *Server) among(asked Asked, ids []models.EntryID) (found []models.Entry, err error) {
	s.turns <- struct{}{}
	defer func() {
		<-s.turns
		if r := recover(); r != nil { // nobody else would catch it, and the process would end
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	for range attempts {
		ctx, cancel := context.WithTimeout(s.ctx, patience)
		found, err = s.log.Among(ctx, asked.Organization, asked.Query, ids)
		cancel()
		if err == nil || errors.Is(err, entries.ErrTooLong) || s.ctx.Err() != nil {
			break
		}
		s.sleep(pause, nil)
	}
	return found, err
}

// add adds a frame for those who watch, until they have been handed it. Where too much waits for that, what has waited
// for the longest is dropped.
func (s *Server) add(q *question, frame *Frame) {
	for _, e := range frame.Entries {
		frame.bytes += rowBytes + len(e.Metadata)
	}
	s.numbered++
	frame.number = s.numbered
	s.kept += frame.bytes
	q.frames = append(q.frames, frame)
	s.trim(q)
	for s.kept > keptBytes {
		oldest := q
		for _, other := range s.questions {
			if len(other.frames) > 0 && other.frames[0].number < oldest.frames[0].number {
				oldest = other
			}
		}
		s.drop(oldest)
	}
	close(q.changed)
	q.changed = make(chan struct{})
}

// trim drops the frames that nobody waits for.
func (s *Server) trim(q *question) {
	for len(q.frames) > 0 && q.frames[0].awaited == 0 {
		s.drop(q)
	}
}

// drop drops the first frame of a question.
func (s *Server) drop(q *question) {
	s.kept -= q.frames[0].bytes
	q.frames[0] = nil
	q.frames = q.frames[1:]
	q.first++
}

// end lets go of those who watch a question. The caller holds mu.
func (s *Server) end(q *question) {
	if q.ended {
		return
	}
	for len(q.frames) > 0 {
		s.drop(q)
	}
	q.ended, q.frames, q.waiting = true, nil, nil
	close(q.changed)
	if s.questions[q.asked.Key] == q {
		delete(s.questions, q.asked.Key)
	}
}

// giveUp lets go of all, who come back with their places: that of the reader leads nowhere.
func (s *Server) giveUp(err error, joining []*Watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say(err)
	for _, q := range s.questions {
		s.end(q)
	}
	for _, w := range append(joining, s.joining...) {
		w.err = err
		close(w.joined)
	}
	s.joining = nil
}

// say says why somebody is let go.
func (s *Server) say(err error) {
	if s.ctx.Err() == nil {
		s.errors.Error("those who watch the log are let go", "error", err)
	}
}

// await puts those back who wait for the reader.
func (s *Server) await(joining []*Watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joining = append(joining, s.joining...)
}

// sleep waits for a while, for wake, or for the end.
func (s *Server) sleep(d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-s.ctx.Done():
	}
}
