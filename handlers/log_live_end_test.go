package handlers

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/handlers/live"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// A server that ends waits for what is being sent at that moment, not for all of an event whose reader is slow.
func TestAServerThatEndsDoesNotWaitForSlowReaders(t *testing.T) {
	store := logtest.Store(t, databasetest.SQLite(t))
	serving, end := context.WithCancel(t.Context())
	defer end()
	h := &Handlers{Store: store, Log: slog.New(slog.DiscardHandler), LivePace: Pace{Patience: time.Hour},
		Live: live.New(serving, entries.NewLog(store), nil, nil, live.Usual)}
	s := &liveStream{handlers: h, scope: Scope{Location: time.UTC}}
	long := bytes.Repeat([]byte("x"), 20*eventPart)
	frame := &live.Frame{Entries: []models.Entry{{}}}
	_, err := frame.Rendered("UTC"+store.Now().UTC().Format(time.DateOnly), func() ([]byte, error) { return long, nil })
	if err != nil {
		t.Fatal(err)
	}
	sender, reader := net.Pipe()
	defer reader.Close()
	go s.send(sender, nil, frame)
	if _, err := io.ReadFull(reader, make([]byte, eventPart)); err != nil {
		t.Fatal(err)
	}
	end()
	if rest, err := io.Copy(io.Discard, reader); err != nil || rest > eventPart {
		t.Errorf("after the end comes %d, %v; want one part at most", rest, err)
	}
}
