//go:build unix

package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/client"
)

// sending is a load of clients with one spool, one after the other, and of the server that they send
// to. What they acknowledge is in the spool.
type sending struct {
	*recording
	server *logServer
	spool  string
}

// throughSpool records with a Client that has a spool.
func throughSpool(t *testing.T, _ *rand.Rand, to target) load {
	t.Helper()
	s := &sending{server: serve(t, to.databaseURL), spool: filepath.Join(t.TempDir(), "spool")}
	s.recording = startRecording(t, &recording{to: to, child: "client",
		variables: []string{"SOAK_URL=" + s.server.url, "SOAK_KEY=" + writeKeys(t, to, 1)[0], "SOAK_SPOOL=" + s.spool}})
	return s
}

func (s *sending) await(t *testing.T, more int) {
	t.Helper()
	s.ledger.await(t, more, s.now, s.server.process)
}

// kill kills the sender, the server or both.
func (s *sending) kill(t *testing.T, chance *rand.Rand) {
	t.Helper()
	victim := chance.IntN(3)
	if victim != 0 {
		s.server.restart(t, chance)
	}
	if victim != 1 {
		s.recording.kill(t, chance)
	}
}

// finish lets the last client on the spool bring everything to the server.
func (s *sending) finish(t *testing.T) {
	t.Helper()
	s.settle(t)
	s.server.shutDown(t)
	for _, pattern := range []string{"*.spool", "*.damaged", "refused*"} {
		left, err := filepath.Glob(filepath.Join(s.spool, pattern))
		if err != nil || len(left) > 0 {
			t.Errorf("the spool still holds %v (%v)", left, err)
		}
	}
	s.ledger.check(t, s.to)
}

// clientChild records with a Client. The spool takes more than a server that is away now and then can catch up with.
func clientChild() error {
	producerPause = 400 * time.Millisecond
	client, err := client.New(client.Config{
		URL: os.Getenv("SOAK_URL"), Key: os.Getenv("SOAK_KEY"), Spool: os.Getenv("SOAK_SPOOL"),
	})
	if err != nil {
		return err
	}
	// With a spool an event that is recorded again needs the time it had.
	err = recordAsTold(client, func(organization string, number int, epoch time.Time) audit.Event {
		event := eventOf(organization, number, epoch)
		if event.ID != "" {
			event.OccurredAt = timeOf(number, epoch)
		}
		return event
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return errors.Join(err, client.Close(ctx))
}
