package handlers_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/handlers/live"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const liveLog = "/orgs/acme" + auditLogs + "/live"

// quickly has streams end often.
func quickly(config *app.Config) {
	config.LivePace = &handlers.Pace{Life: 700 * time.Millisecond, Beat: 100 * time.Millisecond, Patience: time.Minute, Again: time.Second}
}

var rowID = regexp.MustCompile(`data-entry-id="([^"]+)"`)

func rowsOf(event apptest.Event) (ids []string) {
	for _, found := range rowID.FindAllStringSubmatch(event.Data, -1) {
		ids = append(ids, found[1])
	}
	return ids
}

// Writers whose transactions overlap, on PostgreSQL some that stay open for long, and somebody who follows them on two
// servers, and comes and goes. LIVE_ENTRIES says how many there are.
func TestEveryEntryReachesWhoFollowsOnce(t *testing.T) {
	const writers = 4
	total := 1600
	if text := os.Getenv("LIVE_ENTRIES"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	lasting := time.Duration(total) * time.Millisecond
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme, other := p.organization("acme", ada), p.organization("other")
		client := p.signedIn(ada)
		servers := []*apptest.Client{client, client.At(apptest.StartAt(t, p.DB, p.Clock, quickly))}

		var mu sync.Mutex
		recorded := map[string]bool{} // those that the filter lets through
		var writing sync.WaitGroup
		write := func(writer, entries int, lasting time.Duration) error {
			random := rand.New(rand.NewPCG(1, uint64(writer)))
			for left := entries; left > 0; {
				n, pause := min(left, 1+random.IntN(20)), 8*time.Millisecond
				if lasting > 0 {
					n, pause = left, 2*lasting/time.Duration(left)
				}
				left -= n
				var ids []string
				err := p.Store.Transaction(t.Context(), func(tx *gorm.DB) error {
					ids = nil
					for range n {
						org, act := acme, action.ServiceUpdate
						switch random.IntN(4) {
						case 0:
							org = other
						case 1:
							act = action.ProjectUpdate
						}
						receipt, err := audit.Record(t.Context(), tx, audit.Event{
							Organization: org.Slug, Action: act, EntityID: fmt.Sprint(writer), OccurredAt: p.Store.Now().Add(-time.Duration(random.IntN(1e9))),
							Actor: audit.Actor{ID: "u", Name: "U"},
						})
						if err != nil {
							return err
						}
						if org == acme && act == action.ServiceUpdate {
							ids = append(ids, receipt.EntryID)
						}
						time.Sleep(rand.N(pause))
					}
					if random.IntN(10) == 0 {
						return errRolledBack
					}
					return nil
				})
				switch {
				case err == nil:
					mu.Lock()
					for _, id := range ids {
						recorded[id] = true
					}
					mu.Unlock()
				case !errors.Is(err, errRolledBack):
					return err
				}
			}
			return nil
		}

		first := servers[0].Stream(liveLog + "?action=service:*")
		begun, ok := first.Next()
		if !ok || begun.Data != "reload" {
			t.Fatalf("it begins with %+v", begun)
		}
		first.End()
		start := func(writer, entries int, lasting time.Duration) {
			writing.Go(func() {
				if err := write(writer, entries, lasting); err != nil {
					t.Errorf("writer %d: %v", writer, err)
				}
			})
		}
		for writer := range writers {
			start(writer, total/writers, 0)
		}
		if p.Store.Dialect() == "postgres" { // on SQLite nobody else could write meanwhile
			start(writers, 20, lasting)
			start(writers+1, 20, 2*lasting)
		}
		written := make(chan struct{})
		go func() {
			writing.Wait()
			close(written)
		}()

		random := rand.New(rand.NewPCG(2, 3))
		place, seen, connections := begun.ID, map[string]int{}, 0
		for quiet := 0; quiet < 3; {
			connections++
			stream := servers[random.IntN(2)].Stream(liveLog+"?action=service:*", "Last-Event-ID", place)
			if stream.Status != 200 {
				t.Fatalf("following answers %d", stream.Status)
			}
			came := 0
			for range random.IntN(8) {
				event, ok := stream.Next()
				if !ok {
					break
				}
				if event.Data == "reload" {
					t.Fatal("the place has been lost")
				}
				place = event.ID
				for _, id := range rowsOf(event) {
					seen[id]++
					came++
				}
			}
			stream.End()
			select {
			case <-written:
				if quiet++; came > 0 {
					quiet = 0
				}
			default:
			}
		}
		t.Logf("%d entries in %d connections", len(seen), connections)
		for id := range recorded {
			if seen[id] != 1 {
				t.Errorf("entry %s has come %d times", id, seen[id])
			}
		}
		if len(seen) != len(recorded) {
			t.Errorf("%d entries have come of %d", len(seen), len(recorded))
		}
	}, quickly)
}

var errRolledBack = errors.New("rolled back")

func TestFollowingShowsWhatAPageDoes(t *testing.T) {
	eachVault(t, func(t *testing.T, v *vault) {
		hide := func(patterns string) {
			v.admin.Post(restrictions, "role", "member", "hidden_actions", patterns).ExpectRedirect("/orgs/acme/settings/members")
		}
		record := func(act action.Action) (id string) {
			v.do(func(tx *gorm.DB) error {
				receipt, err := audit.Record(t.Context(), tx, audit.Event{Organization: "acme", Action: act, EntityID: "vault-9", Actor: audit.Actor{ID: "u-m", Name: "Mallory"}})
				id = receipt.EntryID
				return err
			})
			return id
		}
		// next is the next event with rows, or the end.
		next := func(s *apptest.Stream) (event apptest.Event, ok bool) {
			for ok = true; ok && len(rowsOf(event)) == 0; {
				event, ok = s.Next()
			}
			return event, ok
		}
		hide("secret:*")
		member, admin := v.member.Stream(liveLog), v.admin.Stream(liveLog)
		for _, stream := range []*apptest.Stream{member, admin} {
			if event, _ := stream.Next(); event.Data != "reload" {
				t.Fatalf("it begins with %+v", event)
			}
		}
		secret, shown := record("secret:read"), record("service:update")
		toAll := func(s *apptest.Stream, want ...string) {
			t.Helper()
			var got []string
			for len(got) < len(want) {
				event, ok := next(s)
				if !ok {
					break
				}
				got = append(got, rowsOf(event)...)
			}
			for _, id := range want {
				if !strings.Contains(strings.Join(got, " "), id) {
					t.Errorf("%s has not come, but %v", id, got)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d rows have come, want %d", len(got), len(want))
			}
		}
		toAll(member, shown)
		toAll(admin, secret, shown)
		v.member.Get(liveLog+"?action=secret:read", "Accept", "text/event-stream").Expect(403)

		// What changes for a role ends its streams, and so does the end of the membership.
		hide("service:*")
		if event, ok := next(member); ok {
			t.Errorf("with another role comes %s", event.Data)
		}
		member = v.member.Stream(liveLog)
		bob, err := v.Accounts.UserByEmail(t.Context(), "bob@example.com")
		if err != nil {
			t.Fatal(err)
		}
		v.admin.Post("/orgs/acme/settings/members/"+bob.ID+"/remove", "confirm", "yes")
		if event, ok := next(member); ok {
			t.Errorf("who is no member is sent %s", event.Data)
		}
		v.member.Get(liveLog, "Accept", "text/event-stream").Expect(404)
	})
}

func TestFollowingHasBounds(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		client := p.signedIn(ada)
		client.Get(liveLog + "?action=a:b").ExpectRedirect("/orgs/acme" + auditLogs + "?action=a:b")
		for _, query := range []string{"?sort=user", "?dir=asc", "?to=-1h", "?from=x"} {
			client.Get(liveLog+query, "Accept", "text/event-stream").Expect(400)
		}
		other := p.user("Bob")
		p.join(acme, other, accounts.RoleMember)
		bob := p.signedIn(other)
		var streams []*apptest.Stream
		for range live.Usual.Person {
			streams = append(streams, client.Stream(liveLog))
		}
		client.Get(liveLog, "Accept", "text/event-stream").Expect(429)
		begun, _ := streams[0].Next()
		streams[0].End()
		for client.Stream(liveLog).Status != 200 { // once the server has seen it
			time.Sleep(100 * time.Millisecond)
		}

		answer := func(place string) string {
			t.Helper()
			stream := bob.Stream(liveLog + "?place=" + url.QueryEscape(place))
			defer stream.End()
			event, _ := stream.Next()
			return event.Data
		}
		if got := answer(begun.ID); got != "" {
			t.Errorf("a place that was just given is answered with %q", got)
		}
		for _, place := range []string{"", "x", begun.ID + "AA"} {
			if got := answer(place); got != "reload" {
				t.Errorf("the place %q is answered with %q", place, got)
			}
		}
		p.Clock.Advance(3 * time.Minute)
		if got := answer(begun.ID); got != "reload" {
			t.Errorf("a place of three minutes ago is answered with %q", got)
		}
		if rows := client.Get("/orgs/acme/settings/access-log?kind=view").Expect(200).Find("tbody tr"); rows.Length() == 0 {
			t.Error("the access log knows nobody who followed")
		}
	}, func(config *app.Config) {
		config.LivePace = &handlers.Pace{Life: time.Minute, Beat: 100 * time.Millisecond, Patience: time.Minute, Again: time.Second}
	})
}

// Who is over one of the bounds is told when to come again, and is let in once somebody has left.
func TestWhoFollowsOverABoundIsToldWhenToComeAgain(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		p.organization("acme", ada, bob)
		p.organization("other", ada)
		one, two := p.signedIn(ada), p.signedIn(bob)
		const elsewhere, another = "/orgs/other" + auditLogs + "/live", liveLog + "?action=a:b"
		for name, tc := range map[string]struct {
			bounds  live.Bounds
			refused string // where bob, or ada, is refused while ada follows acme
			status  int
			byAda   bool
			allowed string // where ada may still follow
		}{
			"server":                       {live.Bounds{All: 1, Organization: 9, Person: 9, Questions: 9, OrganizationQuestions: 9}, liveLog, 503, false, ""},
			"organization":                 {live.Bounds{All: 9, Organization: 1, Person: 9, Questions: 9, OrganizationQuestions: 9}, liveLog, 503, false, elsewhere},
			"questions":                    {live.Bounds{All: 9, Organization: 9, Person: 9, Questions: 1, OrganizationQuestions: 9}, another, 503, false, liveLog},
			"questions of an organization": {live.Bounds{All: 9, Organization: 9, Person: 9, Questions: 9, OrganizationQuestions: 1}, another, 503, false, elsewhere},
			"person":                       {live.Bounds{All: 9, Organization: 9, Person: 1, Questions: 9, OrganizationQuestions: 9}, another, 429, true, ""},
		} {
			t.Run(name, func(t *testing.T) {
				server := apptest.StartAt(t, p.DB, p.Clock, func(config *app.Config) {
					config.LiveBounds = &tc.bounds
					config.LivePace = &handlers.Pace{Life: time.Hour, Beat: 100 * time.Millisecond, Patience: time.Minute, Again: 10 * time.Second}
				})
				ada, asks := one.At(server), two.At(server)
				if tc.byAda {
					asks = ada
				}
				first := ada.Stream(liveLog)
				if _, ok := first.Next(); !ok {
					t.Fatalf("the first one answers %d", first.Status)
				}
				if tc.allowed != "" {
					allowed := ada.Stream(tc.allowed)
					if _, ok := allowed.Next(); !ok {
						t.Errorf("what is below the bound answers %d", allowed.Status)
					}
					defer allowed.End()
				}
				refused := asks.Get(tc.refused, "Accept", "text/event-stream").Expect(tc.status)
				if seconds, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || seconds < 10 || seconds >= 20 {
					t.Errorf("Retry-After: %q", refused.Header.Get("Retry-After"))
				}
				if tc.allowed == liveLog {
					return // its question is followed still
				}
				first.End()
				for stream := asks.Stream(tc.refused); stream.Status != 200; stream = asks.Stream(tc.refused) {
					if stream.Status != tc.status {
						t.Fatalf("after one has left it answers %d", stream.Status)
					}
					time.Sleep(50 * time.Millisecond) // until the server has seen that
				}
			})
		}
	})
}

// A row that comes leads where it does on a page: to an entry that knows its list.
func TestWhatComesKnowsItsList(t *testing.T) {
	eachVault(t, func(t *testing.T, v *vault) {
		stream := v.admin.Stream(liveLog + "?action=service:update")
		if event, _ := stream.Next(); event.Data != "reload" {
			t.Fatalf("it begins with %+v", event)
		}
		v.do(func(tx *gorm.DB) error {
			_, err := audit.Record(t.Context(), tx, audit.Event{Organization: "acme", Action: "service:update", EntityID: "svc-1", Actor: audit.Actor{ID: "u-c", Name: "Carol"}})
			return err
		})
		for event, ok := stream.Next(); ok; event, ok = stream.Next() {
			ids := rowsOf(event)
			if len(ids) == 0 {
				continue
			}
			link := `href="/orgs/acme` + auditLogs + "/" + ids[0] + `?action=service:update"`
			if page := v.admin.Get("/orgs/acme" + auditLogs + "?action=service:update"); !strings.Contains(page.Body, link) || !strings.Contains(event.Data, link) {
				t.Errorf("%s is not in %s", link, event.Data)
			}
			return
		}
		t.Error("nothing has come")
	})
}

// A page leaves its stream while an entry is open, and the server does not know at once.
func TestWhoOpensEntriesGoesOnFollowing(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		client := p.signedIn(ada)
		for i := range 15 {
			stream := client.Stream(liveLog)
			if stream.Status != 200 {
				t.Fatalf("the %dth time it answers %d", i+1, stream.Status)
			}
			stream.End()
		}
	})
}

// Streams are written past the server of HTTP, which waits for none of them when it ends.
func TestStreamsEndWithTheirServer(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		stream := p.signedIn(ada).Stream(liveLog)
		if event, _ := stream.Next(); event.Data != "reload" {
			t.Fatalf("it begins with %+v", event)
		}
		p.expectStreams("1")
		p.Stop()
		if streams := p.Metric("auditlogs_live_streams"); streams != "0" {
			t.Errorf("%s streams go on after the server has ended", streams)
		}
		if event, ok := stream.Next(); ok {
			t.Errorf("after its end comes %+v", event)
		}
	})
}

// expectStreams waits until so many follow the log.
func (p *town) expectStreams(want string) {
	p.t.Helper()
	got := ""
	for range 2400 {
		if got = p.Metric("auditlogs_live_streams"); got == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("%s follow the log, want %s", got, want)
}

// Whoever does not read what comes, such as behind a connection that has broken, is let go.
func TestWhoReadsNothingIsLetGo(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		client := p.signedIn(ada)
		conn := p.rawStream(client, "HTTP/1.1")
		if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		p.expectStreams("1")
		events := make([]audit.Event, 500) // whose rows are more than systems keep for a connection, with those below
		for i := range events {
			name := strings.Repeat("n", 200)
			events[i] = audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: fmt.Sprint(i, name), EntityName: name, Actor: audit.Actor{ID: "u-c", Name: name}}
		}
		for range 4 {
			p.do(func(tx *gorm.DB) error {
				_, err := audit.RecordAll(t.Context(), tx, events)
				return err
			})
		}
		p.expectStreams("0")
	}, func(config *app.Config) {
		config.LivePace = &handlers.Pace{Life: time.Hour, Beat: time.Hour, Patience: time.Second}
	})
}

// rawStream asks for a stream, and reads nothing of it.
func (p *town) rawStream(client *apptest.Client, version string) net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET %s %s\r\nHost: %s\r\nAccept: text/event-stream\r\nCookie: audit_session=%s\r\n\r\n",
		liveLog, version, conn.RemoteAddr(), client.Cookie("audit_session"))
	if err != nil {
		p.t.Fatal(err)
	}
	return conn
}

// Proxies pass a stream on: one that speaks HTTP/1.0, as nginx does unless told otherwise, and one that keeps its connections.
func TestStreamsGoThroughProxies(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		client := p.signedIn(ada)

		for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
			answer, err := http.ReadResponse(bufio.NewReader(p.rawStream(client, version)), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || !strings.HasPrefix(string(body), "retry: 2000\nid: ") || !strings.HasSuffix(string(body), "\n\n") {
				t.Errorf("over %s comes %q: %v", version, body, err)
			}
			for name, want := range map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-store",
				"X-Content-Type-Options": "nosniff", "Transfer-Encoding": "", "Content-Length": "", "Content-Encoding": ""} {
				if got := answer.Header.Get(name); got != want {
					t.Errorf("over %s, %s: %q, want %q", version, name, got, want)
				}
			}
			if !answer.Close || answer.Header.Get("X-Request-Id") == "" || answer.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("over %s: %v", version, answer.Header)
			}
		}

		address, err := url.Parse(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) }})
		defer proxy.Close()
		through := client.At(&apptest.Server{URL: proxy.URL})
		for range 3 { // the proxy asks for pages between them by connections that it keeps
			through.Get("/orgs/acme" + auditLogs).Expect(200)
			stream := through.Stream(liveLog)
			begun, _ := stream.Next()
			if begun.Data != "reload" {
				t.Fatalf("it begins with %+v", begun)
			}
			p.do(func(tx *gorm.DB) error {
				_, err := audit.Record(t.Context(), tx, audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-1", Actor: audit.Actor{ID: "u-c", Name: "Carol"}})
				return err
			})
			rows := 0
			for place := begun.ID; ; stream = through.Stream(liveLog, "Last-Event-ID", place) {
				for event, ok := stream.Next(); ok; event, ok = stream.Next() {
					rows, place = rows+len(rowsOf(event)), event.ID
				}
				if rows > 0 {
					break
				} // otherwise the stream ended before the row was there
			}
			if rows != 1 {
				t.Errorf("%d rows come through a proxy, want 1", rows)
			}
		}
		p.expectStreams("0")
	}, func(config *app.Config) {
		config.LivePace = &handlers.Pace{Life: 3 * time.Second, Beat: 100 * time.Millisecond, Patience: time.Minute, Again: time.Second}
	})
}
