package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/client"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

func spoolIn(dir string) func(*client.Config) {
	return func(c *client.Config) { c.Spool = dir }
}

// spooled records an event, which must be answered by the spool.
func spooled(t *testing.T, client *client.Client, id string) {
	t.Helper()
	receipt, err := client.Record(t.Context(), anEvent(func(e *event.Event) { e.ID = id }))
	if err != nil || receipt != (event.Receipt{Spooled: true}) {
		t.Fatalf("event %s answers %+v, %v", id, receipt, err)
	}
}

// crash ends a client as a crash of its process would, as far as the spool can tell: at once. What it
// was about to send is not sent.
func crash(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var unsent *client.UnsentError
	if err := c.Close(ctx); err != nil && !errors.As(err, &unsent) {
		t.Fatalf("Close answers %v", err)
	}
}

// files are the names of what is in a spool, without the lock.
func files(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range found {
		if file.Name() != "lock" {
			names = append(names, file.Name())
		}
	}
	return names
}

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("m-%04d", i)
	}
	return list
}

func TestSpoolOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		server.down = refused
		dir := filepath.Join(t.TempDir(), "made", "as needed")
		c := server.client(t, spoolIn(dir))
		all := ids(1500)
		for i, id := range all {
			spooled(t, c, id)
			if i%500 == 0 {
				time.Sleep(time.Minute)
			}
		}
		if stats := c.Stats(); stats.Waiting != 1500 || stats.Retries < 5 || stats.SpoolBytes == 0 {
			t.Errorf("during the outage: %+v", stats)
		}
		server.set(func() { server.down = nil })
		closeClient(t, c)
		if !slices.Equal(server.order, all) {
			t.Errorf("%d events arrived, or not in order", len(server.order))
		}
		if stats := c.Stats(); stats.Recorded != 1500 || stats.Waiting != 0 || stats.SpoolBytes != 0 {
			t.Errorf("afterwards: %+v", stats)
		}
		if left := files(t, dir); len(left) != 0 {
			t.Errorf("left in the spool: %v", left)
		}
		if first, last := server.stored[all[0]].OccurredAt, server.stored[all[1499]].OccurredAt; last.Sub(first) < 2*time.Minute {
			t.Errorf("the first occurred at %s, the last at %s: they are not the times of Record", first, last)
		}
	})
}

func TestSpoolOutlivesItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		dir := t.TempDir()
		all := ids(30)
		for i, id := range all {
			server.set(func() { server.down = []failure{refused, lost, silent}[i%3] })
			c := server.client(t, spoolIn(dir))
			spooled(t, c, id)
			synctest.Wait()
			crash(t, c)
			crash(t, c)
			if _, err := c.Record(t.Context(), anEvent()); !errors.Is(err, client.ErrClosed) {
				t.Errorf("a closed client answers %v", err)
			}
		}
		server.set(func() { server.down = nil })
		c := server.client(t, spoolIn(dir))
		if waiting := c.Stats().Waiting; waiting != 30 {
			t.Errorf("the next client finds %d events, want 30", waiting)
		}
		closeClient(t, c)
		slices.Sort(server.order) // those of lost connections came earlier
		if !slices.Equal(server.order, all) {
			t.Errorf("arrived: %v", server.order)
		}
		if left := files(t, dir); len(left) != 0 {
			t.Errorf("left in the spool: %v", left)
		}
	})
}

// A crash may come between the server's answer and the removal of the file.
func TestEventsThatAreSentAgainAreTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		server.down = refused
		dir, copied := t.TempDir(), t.TempDir()
		client := server.client(t, spoolIn(dir))
		for i := range 5 {
			if _, err := client.Record(t.Context(), anEvent(func(e *event.Event) { e.EntityID = fmt.Sprint(i) })); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.CopyFS(filepath.Join(copied, "spool"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		server.set(func() { server.down = nil })
		closeClient(t, client)
		first := fmt.Sprint(server.stored)
		time.Sleep(48 * time.Hour)
		again := server.client(t, spoolIn(filepath.Join(copied, "spool")))
		closeClient(t, again)
		if stats := again.Stats(); stats.Recorded != 5 || len(server.order) != 5 || fmt.Sprint(server.stored) != first {
			t.Errorf("sent again: %+v, %d stored", stats, len(server.order))
		}
	})
}

// spoolFile is a spool with a file of n events that have not been sent.
func spoolFile(t *testing.T, n int) (dir, path string) {
	t.Helper()
	server := newLogServer()
	server.down = refused
	dir = t.TempDir()
	client := server.client(t, spoolIn(dir))
	var calls sync.WaitGroup
	for _, id := range ids(n) {
		calls.Go(func() { spooled(t, client, id) })
	}
	calls.Wait()
	crash(t, client)
	var whole []byte
	for _, name := range files(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if path == "" {
			path = filepath.Join(dir, name)
		} else {
			_, content, _ = bytes.Cut(content, []byte{'\n'}) // without the header
		}
		whole = append(whole, content...)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

func TestWhatACrashBrokeOffIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, path := spoolFile(t, 2)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for length := range len(whole) + 1 {
			if err := os.WriteFile(path, whole[:length], 0o600); err != nil {
				t.Fatal(err)
			}
			server := newLogServer()
			c := server.client(t, spoolIn(dir))
			spooled(t, c, "new")
			closeClient(t, c)
			complete := max(bytes.Count(whole[:length], []byte{'\n'})-1, 0)
			if stats := c.Stats(); len(server.order) != complete+1 || stats.Damaged != 0 || stats.Waiting != 0 {
				t.Fatalf("broken off after %d bytes of %d, %d arrived, want %d: %+v", length, len(whole), len(server.order), complete+1, stats)
			}
			if left := files(t, dir); len(left) != 0 {
				t.Fatalf("left in the spool: %v", left)
			}
		}
	})
}

func TestADamagedSpoolLosesNoneOfItsOtherEvents(t *testing.T) {
	for name, damage := range map[string]func(lines [][]byte){
		"other bytes":      func(lines [][]byte) { lines[2][40] ^= 1 },
		"another checksum": func(lines [][]byte) { lines[2][3] ^= 1 },
		"nothing":          func(lines [][]byte) { lines[2] = nil },
		"zeros":            func(lines [][]byte) { clear(lines[2]) },
		"shorter":          func(lines [][]byte) { lines[2] = lines[2][:5] },
		"two lines in one": func(lines [][]byte) { lines[2] = append(lines[2], lines[2]...) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, path := spoolFile(t, 5)
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				lines := bytes.Split(content, []byte{'\n'})
				damage(lines)
				damaged := bytes.Join(lines, []byte{'\n'})
				if err := os.WriteFile(path, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				server := newLogServer()
				c := server.client(t, spoolIn(dir))
				closeClient(t, c)
				if stats := c.Stats(); len(server.order) != 4 || stats.Recorded != 4 || stats.Damaged != 1 || stats.Waiting != 0 {
					t.Errorf("%d arrived: %+v", len(server.order), stats)
				}
				kept, err := os.ReadFile(strings.TrimSuffix(path, "spool") + "damaged")
				if err != nil || !bytes.Equal(kept, damaged) {
					t.Errorf("the damaged file was not kept: %v", err)
				}
				next := server.client(t, spoolIn(dir))
				spooled(t, next, "new")
				closeClient(t, next)
				if left := files(t, dir); len(left) != 1 || len(server.order) != 5 {
					t.Errorf("the next client leaves %v; %d arrived", left, len(server.order))
				}
			})
		})
	}
}

func TestOtherFilesInTheSpoolAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		others := map[string]string{
			"notes.txt":               "mine",
			"events-0000000003.spool": "not of a spool\nat all\n",
			"events-0000000004.spool": "auditlogs spool 2\nof a later version\n",
			"events-5.spool":          "auditlogs spool 1\n",
			"events-000000000x.spool": "auditlogs spool 1\n",
		}
		for name, content := range others {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "events-0000000009.spool"), 0o700); err != nil {
			t.Fatal(err)
		}
		server := newLogServer()
		client := server.client(t, spoolIn(dir))
		spooled(t, client, "m-1")
		closeClient(t, client)
		if len(server.order) != 1 || len(files(t, dir)) != len(others)+1 {
			t.Errorf("%d arrived; left: %v", len(server.order), files(t, dir))
		}
		for name, content := range others {
			if kept, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(kept) != content {
				t.Errorf("%s: %q, %v", name, kept, err)
			}
		}
	})
}

func TestAFullSpoolSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		server.down = refused
		dir := t.TempDir()
		c := server.client(t, spoolIn(dir), func(c *client.Config) { c.MaxSpoolBytes = 10_000 })
		var full error
		n := 0
		for ; full == nil && n < 1000; n++ {
			_, full = c.Record(t.Context(), anEvent())
		}
		if !errors.Is(full, client.ErrSpoolFull) || n < 10 {
			t.Fatalf("event %d answers %v", n, full)
		}
		if stats := c.Stats(); stats.Failed != 1 || stats.Waiting != int64(n-1) || stats.SpoolBytes > 10_000 {
			t.Errorf("counted %+v", stats)
		}
		server.set(func() { server.down = nil })
		time.Sleep(time.Minute)
		spooled(t, c, "afterwards")
		closeClient(t, c)
		if len(server.order) != n {
			t.Errorf("%d arrived, want %d", len(server.order), n)
		}
	})
}

func TestASpoolIsUsedByOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		dir := t.TempDir()
		c := server.client(t, spoolIn(dir))
		_, err := client.New(client.Config{URL: "https://audit.example.com", Key: "alk_test", Spool: dir})
		if !errors.Is(err, client.ErrSpoolInUse) || !strings.Contains(err.Error(), dir) {
			t.Errorf("a second client answers %v", err)
		}
		closeClient(t, c)
		closeClient(t, server.client(t, spoolIn(dir)))
	})
}

func TestRefusedEventsAreKeptAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		server.down = refused
		server.refuse = func(e event.Event) *fault.Field {
			if e.ID == "m-0003" || e.ID == "m-0007" {
				return fault.Newf("occurred_at", fault.Expired, "is older than the retention")
			}
			return nil
		}
		dir := t.TempDir()
		// A crash while the file was written.
		if err := os.WriteFile(filepath.Join(dir, "refused.ndjson"), []byte(`{"refused_at":"20`), 0o600); err != nil {
			t.Fatal(err)
		}
		told := map[string]error{}
		c := server.client(t, spoolIn(dir), func(c *client.Config) {
			c.OnRefused = func(e event.Event, why error) { told[e.ID] = why }
		})
		for _, id := range ids(10) {
			spooled(t, c, id)
		}
		server.set(func() { server.down = nil })
		closeClient(t, c)
		if stats := c.Stats(); len(server.order) != 8 || stats.Refused != 2 || stats.Recorded != 8 || stats.Waiting != 0 {
			t.Errorf("%d arrived: %+v", len(server.order), stats)
		}
		var invalid *fault.Field
		if !errors.As(told["m-0003"], &invalid) || invalid.Field != "occurred_at" || told["m-0007"] == nil || len(told) != 2 {
			t.Errorf("told of %v", told)
		}
		content, err := os.ReadFile(filepath.Join(dir, "refused.ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		if len(lines) != 3 {
			t.Fatalf("the file holds\n%s", content)
		}
		for i, id := range []string{"m-0003", "m-0007"} {
			var kept struct {
				RefusedAt time.Time `json:"refused_at"`
				Reason    string    `json:"reason"`
				Event     event.Event
			}
			if err := json.Unmarshal([]byte(lines[i+1]), &kept); err != nil {
				t.Fatal(err)
			}
			if kept.Event.ID != id || kept.Reason != "occurred_at: is older than the retention" || kept.RefusedAt.IsZero() {
				t.Errorf("kept %s", lines[i+1])
			}
		}
		if left := files(t, dir); len(left) != 1 {
			t.Errorf("left in the spool: %v", left)
		}
	})
}

// What is wrong with the key, the address or something in between is no fault of the events.
func TestWhatAnOperatorCanMendRefusesNothing(t *testing.T) {
	for name, down := range map[string]failure{
		"a key that expired":         describing("unauthorized", http.StatusUnauthorized, "the key has expired"),
		"a key that only reads":      describing(fault.Forbidden, http.StatusForbidden, "the key reads only"),
		"another address":            answering(http.StatusNotFound),
		"a redirect":                 answering(http.StatusFound, "Location", "/login"),
		"a proxy that wants HTTPS":   answering(http.StatusBadRequest),
		"a page where receipts were": answering(http.StatusOK),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newLogServer()
				server.down = down
				c := server.client(t, spoolIn(t.TempDir()))
				spooled(t, c, "m-1")
				time.Sleep(time.Hour)
				if stats := c.Stats(); stats.Waiting != 1 || stats.Refused != 0 || stats.Retries < 50 {
					t.Errorf("after an hour: %+v", stats)
				}
				server.set(func() { server.down = nil })
				closeClient(t, c)
				if len(server.order) != 1 {
					t.Errorf("%d arrived", len(server.order))
				}
			})
		})
	}
}

func TestTheLogTellsOfAnOutageNotOfEveryFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		var log bytes.Buffer
		c := server.client(t, spoolIn(t.TempDir()), func(c *client.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		told := func(what string, warnings, ends int) {
			t.Helper()
			synctest.Wait()
			text := log.String()
			log.Reset()
			if strings.Count(text, "level=WARN") != warnings || strings.Count(text, "takes audit events again") != ends {
				t.Errorf("%s is told of with\n%s", what, text)
			}
		}
		during := func(down failure, lasting time.Duration) {
			server.set(func() { server.down = down })
			spooled(t, c, fmt.Sprint(time.Now()))
			time.Sleep(lasting)
			server.set(func() { server.down = nil })
			time.Sleep(time.Minute)
		}
		during(refused, time.Second)
		told("a moment", 0, 0)
		during(refused, 40*time.Minute)
		told("an outage", 3, 1)
		during(answering(http.StatusUnauthorized), time.Second)
		told("a key that expired", 1, 1)

		server.set(func() { server.down = answering(http.StatusUnauthorized) })
		spooled(t, c, "last")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var answered *client.APIError
		if err := c.Close(ctx); !errors.As(err, &answered) || answered.Status != http.StatusUnauthorized {
			t.Errorf("Close answers %v, which does not say why", err)
		}
	})
}

func TestEventsOfADeletedOrganizationAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		server.down = refused
		c := server.client(t, spoolIn(t.TempDir()))
		for _, id := range ids(100) {
			spooled(t, c, id)
		}
		before := c.Stats().Requests
		server.set(func() {
			server.down = describing(fault.OrganizationClosed, http.StatusConflict, "nothing is recorded any more")
		})
		closeClient(t, c)
		if stats := c.Stats(); stats.Refused != 100 || stats.Requests-before > 3 {
			t.Errorf("counted %+v, %d requests before", stats, before)
		}
	})
}

func TestASpoolThatCannotBeWrittenSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		dir := filepath.Join(t.TempDir(), "spool")
		c := server.client(t, spoolIn(dir))
		spooled(t, c, "m-1")
		synctest.Wait()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if receipt, err := c.Record(t.Context(), anEvent()); !errors.Is(err, os.ErrNotExist) || receipt.Spooled {
			t.Errorf("without a directory: %+v, %v", receipt, err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		spooled(t, c, "m-2")
		closeClient(t, c)
		if stats := c.Stats(); stats.Recorded != 2 || stats.Failed != 1 || len(server.order) != 2 {
			t.Errorf("counted %+v", stats)
		}
	})
}
