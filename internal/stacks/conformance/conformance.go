package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/audittest"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// Run tests a stack whose database has the tables of the log.
func Run(t *testing.T, s Stack) {
	t.Helper()
	if _, err := s.DB.ExecContext(t.Context(), "CREATE TABLE services (id text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct {
		name string
		run  func(c *check)
	}{
		{"what commits is stored", (*check).commit},
		{"what rolls back is not", (*check).rollback},
		{"a refused event leaves the transaction usable", (*check).refused},
		{"nothing is stored while logging is off", (*check).loggingOff},
		{"an ID is stored once", (*check).repeated},
		{"several events are stored all or none", (*check).batch},
		{"all that an event says is stored", (*check).everything},
		{"a history is stored once", (*check).history},
		{"entries stay in the order of the calls", (*check).order},
		{"a savepoint takes back what was recorded behind it", (*check).savepoint},
		{"an organization is made in the transaction", (*check).organization},
		{"a strict context refuses more", (*check).strict},
		{"a context that is over records nothing", (*check).cancelled},
		{"a transaction that is over records nothing", (*check).over},
		{"a transaction that has failed records nothing", (*check).failed},
		{"a pool records in transactions of its own", (*check).pools},
		{"there is no database behind the handle", (*check).noDatabase},
		{"the handle is no transaction", (*check).noTransaction},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &check{T: t, Stack: s, slug: fmt.Sprintf("org-%d", i)}
			c.within(func(tx Tx) error {
				_, err := tx.EnsureOrganization(t.Context(), audit.Organization{Slug: c.slug})
				return err
			})
			test.run(c)
		})
	}
}

// check is a test of a stack, in an organization of its own.
type check struct {
	*testing.T
	Stack
	slug  string
	named int // events with an ID, by everyWay
}

func (c *check) begin() Tx {
	c.Helper()
	tx, err := c.Begin(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return tx
}

// within commits what do did, which must succeed.
func (c *check) within(do func(tx Tx) error) {
	c.Helper()
	tx := c.begin()
	err := do(tx)
	if err != nil {
		_ = tx.Rollback(c.Context())
	} else {
		err = tx.Commit(c.Context())
	}
	if err != nil {
		c.Fatal(err)
	}
}

func (c *check) event(entity string) audit.Event {
	return audit.Event{Organization: c.slug, Action: action.ServiceUpdate, EntityID: entity, Actor: audit.Actor{ID: "u-7", Name: "Ada Lovelace"}}
}

// change is a row of the application's, and the event that tells of it.
func (c *check) change(tx Tx, entity string) error {
	if err := tx.Exec(c.Context(), "INSERT INTO services (id) VALUES ('"+c.slug+entity+"')"); err != nil {
		return err
	}
	receipt, err := tx.Record(c.Context(), c.event(entity))
	if err == nil && (!receipt.Stored || receipt.EntryID == "") {
		err = fmt.Errorf("the receipt is %+v", receipt)
	}
	return err
}

// expect compares the entities of the organization's entries, in their order.
func (c *check) expect(want ...string) {
	c.Helper()
	if got := c.entities(); !slices.Equal(got, want) {
		c.Errorf("there are entries of %q, want %q", got, want)
	}
}

func (c *check) entities() (found []string) {
	c.Helper()
	return c.texts("SELECT entity_id FROM audit_entries e JOIN audit_organizations o ON o.id = e.org_id WHERE o.slug = '" + c.slug + "' ORDER BY e.id")
}

// expectChanges compares the application's rows as well.
func (c *check) expectChanges(want ...string) {
	c.Helper()
	c.expect(want...)
	rows := c.texts("SELECT id FROM services WHERE id LIKE '" + c.slug + "%' ORDER BY id")
	for i := range rows {
		rows[i] = strings.TrimPrefix(rows[i], c.slug)
	}
	if !slices.Equal(rows, want) {
		c.Errorf("there are services %q, want %q", rows, want)
	}
}

func (c *check) texts(query string) (found []string) {
	c.Helper()
	rows, err := c.DB.QueryContext(c.Context(), query)
	if err != nil {
		c.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			c.Fatal(err)
		}
		found = append(found, text)
	}
	if err := rows.Err(); err != nil {
		c.Fatal(err)
	}
	return found
}

func (c *check) commit() {
	c.within(func(tx Tx) error { return c.change(tx, "-1") })
	c.within(func(tx Tx) error { return errors.Join(c.change(tx, "-2"), c.change(tx, "-3")) })
	c.expectChanges("-1", "-2", "-3")
}

func (c *check) rollback() {
	tx := c.begin()
	if err := c.change(tx, "-1"); err != nil {
		c.Error(err)
	}
	if err := tx.Rollback(c.Context()); err != nil {
		c.Error(err)
	}
	c.expectChanges()
}

func (c *check) refused() {
	c.within(func(tx Tx) error {
		for name, bad := range map[string]struct {
			event audit.Event
			want  error
		}{
			"no actor":     {audit.Event{Organization: c.slug, Action: action.ServiceUpdate, EntityID: "a"}, audit.ErrNoActor},
			"nobody's":     {func() audit.Event { e := c.event("a"); e.Organization = "nobody"; return e }(), audit.ErrNoOrganization},
			"long expired": {func() audit.Event { e := c.event("a"); e.OccurredAt = time.Now().AddDate(-2, 0, 0); return e }(), audit.ErrExpired},
		} {
			if _, err := tx.Record(c.Context(), bad.event); !errors.Is(err, bad.want) {
				c.Errorf("%s: Record returns %v, want %v", name, err, bad.want)
			}
		}
		var invalid *audit.InvalidEventError
		if _, err := tx.Record(c.Context(), c.event(strings.Repeat("x", 513))); !errors.As(err, &invalid) || invalid.Field != "entity_id" {
			c.Errorf("of a long entity ID Record returns %v", err)
		}
		return c.change(tx, "-1")
	})
	c.expectChanges("-1")
}

func (c *check) setLogging(on bool) {
	c.Helper()
	value := "true"
	if c.Dialect == audit.SQLite {
		value = "1"
	}
	if !on {
		value = map[string]string{"true": "false", "1": "0"}[value]
	}
	if _, err := c.DB.ExecContext(c.Context(), "UPDATE audit_organizations SET logging_enabled = "+value+" WHERE slug = '"+c.slug+"'"); err != nil {
		c.Fatal(err)
	}
}

func (c *check) loggingOff() {
	c.setLogging(false)
	named := c.event("named")
	named.ID = "1"
	c.within(func(tx Tx) error {
		receipt, err := tx.Record(c.Context(), c.event("a"))
		second, err2 := tx.Record(c.Context(), named)
		if receipt.Stored || second.Stored {
			c.Errorf("the receipts are %+v and %+v", receipt, second)
		}
		return errors.Join(err, err2)
	})
	c.expect()
	c.setLogging(true)
	c.within(func(tx Tx) error {
		receipt, err := tx.Record(c.Context(), named)
		if receipt.Stored || !receipt.Repeated {
			c.Errorf("what was not stored then has the receipt %+v now", receipt)
		}
		return errors.Join(err, c.change(tx, "-1"))
	})
	c.expect("-1")
}

func (c *check) repeated() {
	named := c.event("a")
	named.ID = "1"
	another := c.event("b")
	another.ID = "1"
	var first audit.Receipt
	c.within(func(tx Tx) (err error) {
		first, err = tx.Record(c.Context(), named)
		return err
	})
	c.within(func(tx Tx) error {
		again, err := tx.Record(c.Context(), named)
		if !again.Repeated || again.EntryID != first.EntryID {
			c.Errorf("the receipts are %+v and %+v", first, again)
		}
		if _, err := tx.Record(c.Context(), another); !errors.Is(err, audit.ErrIDReused) {
			c.Errorf("of another event with the ID Record returns %v", err)
		}
		return errors.Join(err, c.change(tx, "-1"))
	})
	c.expect("a", "-1")
}

func (c *check) batch() {
	var many []audit.Event
	var want []string
	for i := range 70 { // more than one statement on SQLite
		many = append(many, c.event(fmt.Sprint(i)))
		want = append(want, fmt.Sprint(i))
	}
	many[3].ID = "3"
	c.within(func(tx Tx) error {
		receipts, err := tx.RecordAll(c.Context(), many)
		if len(receipts) != len(many) || slices.ContainsFunc(receipts, func(r audit.Receipt) bool { return !r.Stored }) {
			c.Errorf("the receipts are %+v", receipts)
		}
		return err
	})
	c.expect(want...)

	invalid, nobodys, reused := c.event(strings.Repeat("x", 513)), c.event("x"), c.event("y")
	nobodys.Organization, reused.ID = "nobody", "3"
	for name, bad := range map[string]audit.Event{"invalid": invalid, "nobody's": nobodys, "reused": reused} {
		c.within(func(tx Tx) error {
			fresh := c.event("fresh")
			fresh.ID = "fresh"
			_, err := tx.RecordAll(c.Context(), []audit.Event{fresh, bad})
			var refused *audit.EventsError
			if !errors.As(err, &refused) || len(refused.Events) != 1 || refused.Events[0].Index != 1 {
				c.Errorf("%s: RecordAll returns %v", name, err)
			}
			return tx.Exec(c.Context(), "UPDATE services SET id = id")
		})
	}
	c.expect(want...)
}

func (c *check) everything() {
	event := audit.Event{
		ID: "everything", Organization: c.slug, NativeAction: "iam:AttachRolePolicy", EntityType: "role", EntityID: `dep"loy\`, EntityName: "Déploy 部署",
		Related: []audit.Resource{{Type: "policy", ID: "p-1", Name: "Administrators", Role: "attached"}, {Type: "account", ID: "{1,2}"}},
		Outcome: audit.OutcomeDenied, Reason: "explicit deny, in the boundary's ?",
		Actor: audit.Actor{Type: audit.ActorAgent, ID: "bot-3", Name: "Deploy bot", Email: "bot@example.com",
			OnBehalfOf: &audit.Principal{ID: "u-7", Name: "Ada Lovelace", Session: "s-42"}},
		OccurredAt: time.Now().Add(-time.Hour).Truncate(time.Microsecond),
		Metadata:   map[string]any{"text": "$1 ? ?1 :name \\ '\"", "changes": map[string]audit.Change{"replicas": {Before: 2, After: 4}}},
		URL:        "https://example.com/roles/deploy?tab=1",
		Request:    audit.Request{IP: "192.0.2.1", UserAgent: "curl/8.5", ID: "req-1"},
	}
	another := event
	another.ID = "another"
	c.within(func(tx Tx) error {
		_, err := tx.Record(c.Context(), event)
		_, err2 := tx.RecordAll(c.Context(), []audit.Event{another, c.event("plain")})
		return errors.Join(err, err2)
	})
	event.Action = "iam:attach_role_policy"
	audittest.RequireRecorded(c.T, c.DB, event)
	another.Action = event.Action
	audittest.RequireRecorded(c.T, c.DB, another)
	c.expect(event.EntityID, event.EntityID, "plain")
}

func (c *check) history() {
	past := []audit.Event{c.event("a"), c.event("b")}
	for i := range past {
		past[i].ID, past[i].OccurredAt = fmt.Sprint(i), time.Now().AddDate(0, 0, -7+i).Truncate(time.Second)
	}
	for again := range 2 {
		c.within(func(tx Tx) error {
			receipts, err := tx.Backfill(c.Context(), past)
			if len(receipts) != 2 || receipts[0].Repeated != (again == 1) || receipts[1].Repeated != (again == 1) {
				c.Errorf("the receipts are %+v", receipts)
			}
			return err
		})
	}
	c.expect("a", "b")
	c.within(func(tx Tx) error {
		changed := slices.Clone(past)
		changed[0].ID = ""
		if _, err := tx.Backfill(c.Context(), changed); err == nil {
			c.Error("an event without an ID is back-filled")
		}
		changed[0] = past[0]
		changed[0].EntityID = "another"
		if _, err := tx.Backfill(c.Context(), changed); !errors.Is(err, audit.ErrIDReused) {
			c.Errorf("of another event with the ID Backfill returns %v", err)
		}
		return c.change(tx, "-1")
	})
	c.expect("a", "b", "-1")
}

func (c *check) order() {
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	var want []string
	c.within(func(tx Tx) error {
		record := func(n int) error {
			event := c.event(fmt.Sprint(n))
			event.OccurredAt = at
			if n%3 == 0 {
				event.ID = fmt.Sprint(n)
			}
			want = append(want, event.EntityID)
			if n%5 != 0 {
				_, err := tx.Record(c.Context(), event)
				return err
			}
			_, err := tx.RecordAll(c.Context(), []audit.Event{event})
			return err
		}
		for n := range 20 {
			if err := record(n); err != nil {
				return err
			}
		}
		return nil
	})
	c.expect(want...)
}

func (c *check) savepoint() {
	c.within(func(tx Tx) error {
		if err := c.change(tx, "-1"); err != nil {
			return err
		}
		inner, err := c.nest(tx, "one")
		if err != nil {
			return err
		}
		if err := errors.Join(c.change(inner, "-2"), inner.Rollback(c.Context())); err != nil {
			return err
		}
		if inner, err = c.nest(tx, "two"); err != nil {
			return err
		}
		return errors.Join(c.change(inner, "-3"), inner.Commit(c.Context()), c.change(tx, "-4"))
	})
	c.expectChanges("-1", "-3", "-4")
}

func (c *check) nest(tx Tx, name string) (Tx, error) {
	if tx.Nested != nil {
		return tx.Nested(c.Context())
	}
	inner := tx
	inner.Rollback = func(ctx context.Context) error { return tx.Exec(ctx, "ROLLBACK TO SAVEPOINT "+name) }
	inner.Commit = func(ctx context.Context) error { return tx.Exec(ctx, "RELEASE SAVEPOINT "+name) }
	return inner, tx.Exec(c.Context(), "SAVEPOINT "+name)
}

func (c *check) organization() {
	tenant := audit.Organization{ExternalID: "tenant of " + c.slug, Name: c.slug + " & Sons"}
	ensure := func(tx Tx) (slug string) {
		slug, err := tx.EnsureOrganization(c.Context(), tenant)
		if err != nil {
			c.Fatal(err)
		}
		event := c.event("a")
		event.Organization, event.ExternalID = "", tenant.ExternalID
		if _, err := tx.Record(c.Context(), event); err != nil {
			c.Fatal(err)
		}
		return slug
	}
	count := func() int {
		return len(c.texts("SELECT slug FROM audit_organizations WHERE external_id = '" + tenant.ExternalID + "'"))
	}
	tx := c.begin()
	_ = ensure(tx)
	if err := tx.Rollback(c.Context()); err != nil {
		c.Error(err)
	}
	if n := count(); n != 0 {
		c.Errorf("%d organizations were made in a transaction that rolled back", n)
	}
	c.within(func(tx Tx) error {
		made, found := ensure(tx), ensure(tx)
		if made != c.slug+"-sons" || found != made {
			c.Errorf("the slugs are %q and %q", made, found)
		}
		var invalid *audit.InvalidEventError
		if _, err := tx.EnsureOrganization(c.Context(), audit.Organization{Slug: c.slug, ExternalID: "another"}); !errors.As(err, &invalid) {
			c.Errorf("for a slug that is taken EnsureOrganization returns %v", err)
		}
		return nil
	})
	if n := count(); n != 1 {
		c.Errorf("there are %d organizations of the tenant", n)
	}
}

func (c *check) strict() {
	ctx := audit.Strict(c.Context())
	misspelt := c.event("a")
	misspelt.Action = "service:updaet"
	c.within(func(tx Tx) error {
		if _, err := tx.Record(ctx, misspelt); !errors.Is(err, audit.ErrUnregisteredAction) {
			c.Errorf("of a misspelt action Record returns %v", err)
		}
		_, err := tx.Record(ctx, c.event("b"))
		return err
	})
	for name, pool := range c.Pools {
		for way, err := range c.everyWay(ctx, pool) {
			if want := audit.ErrNoTransaction; way != "EnsureOrganization" && !errors.Is(err, want) {
				c.Errorf("%s: %s returns %v, want %v", name, way, err, want)
			}
		}
	}
	c.expect("b")
}

// everyWay calls every function of a recorder.
func (c *check) everyWay(ctx context.Context, in Recorder) map[string]error {
	errs := map[string]error{}
	c.named++
	named := c.event("every way")
	named.ID, named.OccurredAt = fmt.Sprint("every way ", c.named), time.Now()
	_, errs["Record"] = in.Record(ctx, c.event("every way"))
	_, errs["Record with an ID"] = in.Record(ctx, named)
	_, errs["RecordAll"] = in.RecordAll(ctx, []audit.Event{c.event("every way")})
	_, errs["Backfill"] = in.Backfill(ctx, []audit.Event{named})
	_, errs["EnsureOrganization"] = in.EnsureOrganization(ctx, audit.Organization{Slug: c.slug})
	return errs
}

func (c *check) expectEveryWay(name string, in Recorder, want error) {
	c.Helper()
	for way, err := range c.everyWay(c.Context(), in) {
		if !errors.Is(err, want) {
			c.Errorf("%s: %s returns %v, want %v", name, way, err, want)
		}
	}
}

func (c *check) cancelled() {
	ctx, cancel := context.WithCancel(c.Context())
	cancel()
	tx := c.begin()
	for way, err := range c.everyWay(ctx, tx) {
		if !errors.Is(err, context.Canceled) {
			c.Errorf("%s returns %v", way, err)
		}
	}
	_ = tx.Rollback(c.Context())
	c.within(func(tx Tx) error { return c.change(tx, "-1") })
	c.expectChanges("-1")
}

func (c *check) over() {
	for name, end := range map[string]func(tx Tx) error{
		"committed":   func(tx Tx) error { return tx.Commit(c.Context()) },
		"rolled back": func(tx Tx) error { return tx.Rollback(c.Context()) },
	} {
		tx := c.begin()
		if err := end(tx); err != nil {
			c.Fatal(err)
		}
		c.expectEveryWay(name, tx, audit.ErrHandleClosed)
	}
	c.expect()
}

func (c *check) failed() {
	if c.Dialect != audit.PostgreSQL {
		return // a statement that fails spoils nothing there
	}
	tx := c.begin()
	if err := tx.Exec(c.Context(), "SELECT 1 / 0"); err == nil {
		c.Fatal("1 / 0 is something")
	}
	c.expectEveryWay("failed", tx, audit.ErrHandleFailed)
	_ = tx.Rollback(c.Context())
	c.expect()
}

func (c *check) pools() {
	before := c.DB.Stats().InUse
	for name, pool := range c.Pools {
		entries := len(c.entities())
		c.expectEveryWay(name, pool, nil)
		if stored := len(c.entities()) - entries; stored != 3 { // what is back-filled is there already
			c.Errorf("%s stores %d entries, want 3", name, stored)
		}
		nobodys := c.event("b")
		nobodys.Organization = "nobody"
		entries = len(c.entities())
		named := c.event("undone")
		named.ID = "undone by " + name
		var refused *audit.EventsError
		if _, err := pool.RecordAll(c.Context(), []audit.Event{named, nobodys}); !errors.As(err, &refused) {
			c.Errorf("%s: RecordAll returns %v", name, err)
		}
		if n := len(c.entities()); n != entries {
			c.Errorf("%s: a batch that was refused leaves %d entries", name, n-entries)
		}
	}
	if open := c.DB.Stats().InUse - before; open != 0 {
		c.Errorf("%d connections were not given back", open)
	}
}

func (c *check) noDatabase() {
	for name, handle := range c.NoDatabase {
		c.expectEveryWay(name, handle, audit.ErrNoHandle)
	}
}

func (c *check) noTransaction() {
	for name, handle := range c.NoTransaction {
		c.expectEveryWay(name, handle, audit.ErrNoTransaction)
	}
	c.expect()
}
