package live

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/following"
)

// server is one whose reader the test is.
func server(t *testing.T) *Server {
	t.Helper()
	store := logtest.Store(t, databasetest.SQLite(t))
	s := New(t.Context(), entries.NewLog(store), secrets.NewShared(store, "places_key"), slog.New(slog.DiscardHandler), Usual)
	s.reading = true
	return s
}

func (s *Server) joinedBy(t *testing.T, who string) *Watch {
	t.Helper()
	w, err := s.join(Asked{Person: who, Organization: models.Organization{ID: 1}, Key: "all"})
	if err != nil {
		t.Fatal(err)
	}
	if w.box, err = s.places.Box(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// Nothing is kept for somebody who has given up waiting for the reader.
func TestWhoLeavesBeforeTheReaderComesByIsNotAwaited(t *testing.T) {
	s := server(t)
	stays, leaves := s.joinedBy(t, "ada"), s.joinedBy(t, "bob")
	leaves.End()
	s.hand(following.Batch{Next: "a"}, []*Watch{stays, leaves})
	q := stays.question
	s.mu.Lock()
	q.numbered++
	s.add(q, &Frame{place: "b", awaited: q.begun})
	s.mu.Unlock()
	if frame, _, err := stays.look(); frame == nil || err != nil {
		t.Fatalf("who stays is handed %v, %v", frame, err)
	}
	if len(q.frames) != 0 {
		t.Errorf("%d frames are kept for nobody", len(q.frames))
	}
	if _, _, err := leaves.look(); err == nil {
		t.Error("who has left is handed more")
	}
}

// A question that is not asked any more does not lead behind what it was not asked of.
func TestThePlaceOfAQuestionThatHasEndedStays(t *testing.T) {
	s := server(t)
	w := s.joinedBy(t, "ada")
	s.hand(following.Batch{Next: "a"}, []*Watch{w})
	s.mu.Lock()
	s.end(w.question)
	s.mu.Unlock()
	s.hand(following.Batch{Next: "b"}, nil)
	if place := s.opened(w.box, 1, w.Place()); *place != "a" {
		t.Errorf("who comes back begins behind %q, want a", *place)
	}
}

// Whatever goes wrong with a question is the end of that question, not of the server.
func TestAQuestionThatPanicsIsLetGo(t *testing.T) {
	s := server(t)
	w := s.joinedBy(t, "ada")
	s.hand(following.Batch{Next: "a"}, []*Watch{w})
	s.log = nil
	s.hand(following.Batch{Next: "b", Entries: []models.Entry{{OrgID: 1}}}, nil)
	if _, err := w.Next(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("who watches it is told %v", err)
	}
}

// What people of many time zones are shown does not all stay with a frame for as long as one of them is slow.
func TestAFrameKeepsFewRenderings(t *testing.T) {
	f := &Frame{}
	made := 0
	for range 2 {
		for zone := range 3 * mostWays {
			text, err := f.Rendered(fmt.Sprint(zone), func() ([]byte, error) {
				made++
				return fmt.Append(nil, zone), nil
			})
			if err != nil || string(text) != fmt.Sprint(zone) {
				t.Fatalf("in zone %d it is %q, %v", zone, text, err)
			}
		}
	}
	if len(f.rendered) != mostWays || made != 5*mostWays {
		t.Errorf("%d renderings are kept of %d", len(f.rendered), made)
	}
}
