package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const (
	watchers   = 1000
	eachPerson = 4 // watches so many lists
	liveRate   = 10
	liveFor    = 90 * time.Second // in which all come back
)

// measureLive has people follow the large organization's log in a server of its own, on PostgreSQL.
func measureLive(ctx context.Context, b *bench) (markdown string, err error) {
	folder, err := os.MkdirTemp("", "auditlogs-bench-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	program, err := buildServer(ctx, folder)
	if err != nil {
		return "", err
	}
	kept, err := b.postgres(ctx, b.Rows)
	if err != nil {
		return "", err
	}
	url, remove, err := kept.Copy(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, remove(context.WithoutCancel(ctx))) }()
	db, err := database.Open(ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := db.Store(nil)
	if err != nil {
		return "", err
	}
	cookies, err := signInMany(ctx, store, watchers/eachPerson)
	if err != nil {
		return "", err
	}
	server, err := startProcess(ctx, folder, program, "serve", "--addr", "127.0.0.1:0", "--database", url)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	before, _, err := server.memory()
	if err != nil {
		return "", err
	}

	following, stop := context.WithCancel(ctx)
	defer stop()
	var began, ended sync.WaitGroup
	var rows, connections, failed atomic.Int64
	for i := range watchers {
		began.Add(1)
		ended.Go(func() {
			w := watcher{address: server.URL + logPath + "/live", cookie: cookies[i/eachPerson], rows: &rows, connections: &connections, failed: &failed}
			w.follow(following, sync.OnceFunc(began.Done))
		})
		time.Sleep(20 * time.Millisecond)
	}
	began.Wait()
	fmt.Println(watchers, "follow the log")
	cpu, err := server.cpu()
	if err != nil {
		return "", err
	}
	start := time.Now()
	recorded := 0
	for tick := time.NewTicker(time.Second / liveRate); time.Since(start) < liveFor; recorded++ {
		<-tick.C
		err := store.Transaction(ctx, func(tx *gorm.DB) error {
			_, err := audit.Record(ctx, tx, audit.Event{Organization: benchdata.Large, Action: action.ServiceUpdate, EntityID: fmt.Sprint("live-", recorded%50),
				EntityName: "billing", Actor: audit.Actor{ID: "usr_1", Name: "Ada Lovelace", Email: "ada@example.com"}})
			return err
		})
		if err != nil {
			return "", err
		}
	}
	used, err := server.cpu()
	if err != nil {
		return "", err
	}
	took := time.Since(start)
	for range 100 { // the last ones are on their way
		if rows.Load() >= int64(recorded*watchers) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	now, most, err := server.memory()
	if err != nil {
		return "", err
	}
	stop()
	ended.Wait()
	if failed.Load() > 0 || rows.Load() != int64(recorded*watchers) {
		return "", fmt.Errorf("%d rows have come of %d to each of %d who follow, and %d streams were refused", rows.Load(), recorded, watchers, failed.Load())
	}
	return fmt.Sprintf(`## Following

`+"`make bench SECTIONS=live`"+` has %s people follow the newest entries of a log of %s entries on PostgreSQL, with one server in a process of its own, while %d entries a second are recorded for %s. Their streams end within a minute and come back: %s connections in all. Each was sent each of %s entries once.

%s

| the server | | wanted |
|---|---|---|
| processor time | **%.2f** of a core | under 0.5 |
| resident memory | **%.0f MB** (at most %.0f MB), %.0f MB before anybody followed | under 100 MB |
`, number(watchers), number(kept.Spec.Rows), liveRate, liveFor, number(int(connections.Load())), number(recorded), machine(),
		(used-cpu).Seconds()/took.Seconds(), float64(now)/1e6, float64(most)/1e6, float64(before)/1e6), nil
}

// signInMany makes people with access to the large organization, and returns the cookies of their sessions.
func signInMany(ctx context.Context, store *models.Store, n int) (cookies []string, err error) {
	org, err := models.OrganizationByRef(ctx, store.Reader(ctx), models.OrganizationRef{Slug: benchdata.Large})
	if err != nil {
		return nil, err
	}
	err = store.Transaction(ctx, func(tx *gorm.DB) error {
		for i := range n {
			user, err := accounts.CreateUser(ctx, tx, fmt.Sprint("Reader ", i), fmt.Sprintf("reader-%d@example.com", i), "none")
			if err != nil {
				return err
			}
			if err := accounts.AddMember(ctx, tx, org.ID, user.ID, accounts.RoleMember); err != nil {
				return err
			}
			token, _, err := accounts.StartSession(ctx, tx, user, accounts.Browser{}, []byte("{}"))
			if err != nil {
				return err
			}
			cookies = append(cookies, "audit_session="+token)
		}
		return nil
	})
	return cookies, err
}

// watcher follows the log as a browser does: it comes back with the place it has got to.
type watcher struct {
	address, cookie           string
	rows, connections, failed *atomic.Int64
	place                     string
}

func (w *watcher) follow(ctx context.Context, began func()) {
	defer began()
	for ctx.Err() == nil {
		w.connections.Add(1)
		if err := w.stream(ctx, began); err != nil && ctx.Err() == nil {
			fmt.Println(err)
			w.failed.Add(1)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

func (w *watcher) stream(ctx context.Context, began func()) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.address, nil)
	if err != nil {
		return err
	}
	request.Header = http.Header{"Accept": {"text/event-stream"}, "Cookie": {w.cookie}}
	if w.place != "" {
		request.Header.Set("Last-Event-ID", w.place)
	}
	answer, err := streaming.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	rows, first := 0, w.place == ""
	for lines := bufio.NewReaderSize(answer.Body, 4096); ; {
		line, err := lines.ReadString('\n')
		switch {
		case err != nil:
			return nil // the end, or the bench's
		case strings.HasPrefix(line, "id: "):
			w.place = strings.TrimSpace(line[4:])
		case line == "data: reload\n" && !first:
			return errors.New("a place was lost")
		case line == "\n":
			w.rows.Add(int64(rows))
			rows = 0
			began()
		}
		rows += strings.Count(line, "data-entry-id=")
	}
}

var streaming = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: client.CheckRedirect,
}
