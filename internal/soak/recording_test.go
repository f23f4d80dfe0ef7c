//go:build unix

package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
)

// recording is a load of children, one after the other, that record and tell of it.
type recording struct {
	to        target
	child     string
	variables []string
	failures  bool // Record may answer with an error

	epoch  time.Time
	ledger *ledger
	runs   int
	now    *process
}

func startRecording(t *testing.T, r *recording) *recording {
	t.Helper()
	r.epoch, r.ledger = time.Now().Add(-time.Hour), newLedger()
	r.record(t)
	return r
}

// record starts a child that records what nothing is known of and then new events.
func (r *recording) record(t *testing.T) {
	t.Helper()
	r.runs++
	r.start(t, r.runs*1_000_000)
}

func (r *recording) await(t *testing.T, more int) {
	t.Helper()
	r.ledger.await(t, more, r.now)
}

func (r *recording) kill(t *testing.T, chance *rand.Rand) {
	t.Helper()
	r.now.kill(t)
	r.record(t)
	if chance.IntN(4) == 0 { // once more, while it starts
		pause(chance, 100*time.Millisecond)
		r.now.kill(t)
		r.record(t)
	}
}

func (r *recording) finish(t *testing.T) {
	t.Helper()
	r.settle(t)
	r.ledger.check(t, r.to)
}

// settle ends the child in order, and lets a last one record what nothing is known of.
func (r *recording) settle(t *testing.T) {
	t.Helper()
	r.now.finish(t)
	r.start(t, 0)
	r.now.finish(t)
	if open := r.ledger.open(); len(open) > 0 {
		t.Errorf("%d events, such as event %d, are not acknowledged although nothing has failed since", len(open), open[0])
	}
}

// start starts a child whose new events are numbered from first, or that makes none where it is 0.
func (r *recording) start(t *testing.T, first int) {
	t.Helper()
	content, err := json.Marshal(orders{r.to.organization, r.epoch, first, r.ledger.open()})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "orders.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	r.now = startChild(t, r.child, append(slices.Clone(r.variables), "SOAK_ORDERS="+path), r.note)
}

// orders say what a child is to record.
type orders struct {
	Organization string
	Epoch        time.Time
	First        int   // number of its first new event; 0: it makes none
	Again        []int // events to record before
}

// What a child says of an event, each line followed by its number.
const (
	lineSent    = "sent"
	lineStored  = "stored"  // and the entry's ID, where the receipt names it
	lineRefused = "refused" // and why: an error that says it is not stored
	lineUnknown = "unknown" // and why: an error that leaves that open
)

// note takes a line of a child.
func (r *recording) note(line string) {
	what, rest, _ := strings.Cut(line, " ")
	text, more, _ := strings.Cut(rest, " ")
	number, err := strconv.Atoi(text)
	switch {
	case err != nil:
		r.ledger.surprise(fmt.Errorf("the child says %q", line))
	case what == lineSent:
		r.ledger.send(number)
	case what == lineStored:
		r.ledger.acknowledge(number, more)
	case !r.failures:
		r.ledger.surprise(fmt.Errorf("the child says %q", line))
	case what == lineRefused:
		r.ledger.refuse(number)
	}
}

// producerPause is how long a producer waits at most between two events: a few thousand will do.
var producerPause = 60 * time.Millisecond

// producers is how many goroutines of a child record at the same time.
const producers = 24

// recordAsTold is a child's work: it records with recorder what start asked for, says what became of
// every event, and returns when its standard input ends, or when there is nothing to do.
func recordAsTold(recorder audit.Recorder, event func(organization string, number int, epoch time.Time) audit.Event) error {
	content, err := os.ReadFile(os.Getenv("SOAK_ORDERS"))
	if err != nil {
		return err
	}
	var told orders
	if err := json.Unmarshal(content, &told); err != nil {
		return err
	}

	var enough atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		enough.Store(true)
	}()
	var next atomic.Int64
	var group sync.WaitGroup
	for range producers {
		group.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				var number int
				switch {
				case i < len(told.Again):
					number = told.Again[i]
				case told.First > 0 && !enough.Load():
					number = told.First + i - len(told.Again)
				default:
					return
				}
				recordOne(recorder, number, event(told.Organization, number, told.Epoch))
			}
		})
	}
	group.Wait()
	return nil
}

func recordOne(recorder audit.Recorder, number int, event audit.Event) {
	say(lineSent, number, "")
	receipt, err := recorder.Record(context.Background(), event)
	switch {
	case err == nil:
		say(lineStored, number, receipt.EntryID)
	case errors.Is(err, audit.ErrOutcomeUnknown):
		say(lineUnknown, number, err.Error())
	default:
		say(lineRefused, number, err.Error())
	}
	time.Sleep(rand.N(producerPause))
}

// say writes a line in one piece, which arrives whole or not at all: it is shorter than what a pipe
// takes at once.
func say(what string, number int, more string) {
	more = strings.Join(strings.Fields(more), " ")
	_, err := fmt.Fprintf(os.Stdout, "%s %d %.500s\n", what, number, more)
	if err != nil {
		os.Exit(1) // the test is gone
	}
}
