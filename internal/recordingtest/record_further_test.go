package recordingtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// further makes an event say all that few do.
func further(e *audit.Event) {
	e.NativeAction = "svc.Updated"
	e.Related = []audit.Resource{{Type: "subnet", ID: "SN-1", Name: "Internal", Role: "network"}, {Type: "image", ID: "im-1"}}
	e.Outcome, e.Reason = audit.OutcomeDenied, `not "allowed", \ at all`
	e.Actor = audit.Actor{Type: audit.ActorAgent, ID: "bot-1", Name: "Deploy bot", OnBehalfOf: &audit.Principal{
		Type: audit.ActorService, ID: "ci-1", Name: "CI", Email: "ci@example.com", Session: "s-1"}}
	e.Metadata = map[string]any{"password": "hunter2", "token": map[string]any{"before": "a", "after": "b"}, "n": 1}
}

// entriesWithParts are those in the log with what stands in tables beside them.
func entriesWithParts(t *testing.T, db *gorm.DB) []models.Entry {
	t.Helper()
	rows := entries(t, db)
	for i := range rows {
		if err := models.ReadParts(t.Context(), db, rows[i].OrgID, &rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// The ways in which one event is recorded.
var recorders = map[string]func(ctx context.Context, tx *gorm.DB, e audit.Event) (audit.Receipt, error){
	"Record": audit.Record,
	"RecordAll": func(ctx context.Context, tx *gorm.DB, e audit.Event) (audit.Receipt, error) {
		return one(audit.RecordAll(ctx, tx, []audit.Event{e}))
	},
	"Backfill": func(ctx context.Context, tx *gorm.DB, e audit.Event) (audit.Receipt, error) {
		return one(audit.Backfill(ctx, tx, []audit.Event{e}))
	},
}

func one(receipts []audit.Receipt, err error) (audit.Receipt, error) {
	if err != nil {
		return audit.Receipt{}, err
	}
	return receipts[0], nil
}

func TestWhatFewEventsSayIsStored(t *testing.T) {
	for name, record := range recorders {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				ensure(t, db.Write, audit.Organization{Slug: "acme"})
				said := past("1", further)
				if _, err := record(t.Context(), db.Write, said); err != nil {
					t.Fatal(err)
				}
				stored := entriesWithParts(t, db.Write)
				if len(stored) != 1 {
					t.Fatalf("%d entries", len(stored))
				}
				got := stored[0]
				if got.Outcome != said.Outcome || got.Reason != said.Reason || got.NativeAction != said.NativeAction || got.Masked != 3 ||
					!reflect.DeepEqual(got.Related, said.Related) || !reflect.DeepEqual(got.Actor(), said.Actor) {
					t.Errorf("stored is %+v", got)
				}
				for sql, want := range map[string][]string{
					"SELECT entity_type || '|' || entity_id || '|' || id_key || '|' || name_key FROM audit_entities": {
						"image|im-1|im-1|", "service|svc-1|svc-1|api", "subnet|SN-1|sn-1|internal"},
					"SELECT actor_type || '|' || actor_id || '|' || search_key FROM audit_actors": {
						"agent|bot-1|bot-1\ndeploy bot\n", "service|ci-1|ci-1\nci\nci@example.com"},
					"SELECT action || '|' || native_action || '|' || native_key FROM audit_native_actions": {"service:update|svc.Updated|svc.updated"},
				} {
					if got := texts(t, db.Write, sql); !slices.Equal(got, want) {
						t.Errorf("%s\nanswers %q\nwant    %q", sql, got, want)
					}
				}
			})
		})
	}
}

func texts(t *testing.T, db *gorm.DB, sql string) (found []string) {
	t.Helper()
	if err := db.WithContext(t.Context()).Raw(sql + " ORDER BY 1").Scan(&found).Error; err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhatFewEventsSayTellsThemApart(t *testing.T) {
	for name, record := range recorders {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				ensure(t, db.Write, audit.Organization{Slug: "acme"})
				first, err := record(t.Context(), db.Write, past("1", further))
				if err != nil {
					t.Fatal(err)
				}
				again, err := record(t.Context(), db.Write, past("1", further))
				if err != nil || !again.Repeated || again.EntryID != first.EntryID {
					t.Errorf("the same again: %+v, %v", again, err)
				}
				for what, change := range map[string]func(*audit.Event){
					"nothing of it":   func(e *audit.Event) { *e = past("1") },
					"outcome":         func(e *audit.Event) { e.Outcome = audit.OutcomeFailure },
					"reason":          func(e *audit.Event) { e.Reason = "" },
					"native action":   func(e *audit.Event) { e.NativeAction = "svc.updated" },
					"type":            func(e *audit.Event) { e.Actor.Type = audit.ActorService },
					"on behalf of":    func(e *audit.Event) { e.Actor.OnBehalfOf = nil },
					"session":         func(e *audit.Event) { e.Actor.OnBehalfOf.Session = "s-2" },
					"related, fewer":  func(e *audit.Event) { e.Related = e.Related[:1] },
					"related, turned": func(e *audit.Event) { slices.Reverse(e.Related) },
				} {
					if _, err := record(t.Context(), db.Write, past("1", further, change)); !errors.Is(err, audit.ErrIDReused) {
						t.Errorf("another %s: %v", what, err)
					}
				}
				if n := count(t, db.Write, "audit_entries"); n != 1 {
					t.Errorf("%d entries", n)
				}
			})
		})
	}
}

func TestFewAndManyInOneBatch(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ensure(t, db.Write, audit.Organization{Slug: "off"})
		set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = ? WHERE slug = 'off'", false)
		var events []audit.Event
		for i := range 100 {
			events = append(events, anEvent(func(e *audit.Event) {
				if i%10 == 3 {
					further(e)
				}
				if i%10 == 7 { // nothing was affected
					e.Action, e.EntityID, e.EntityName = "session:list", "", ""
				}
				e.Reason = fmt.Sprint(i)
			}))
		}
		events = append(events, anEvent(further, func(e *audit.Event) { e.Organization = "off" }))
		if _, err := audit.RecordAll(t.Context(), db.Write, events); err != nil {
			t.Fatal(err)
		}
		for _, e := range entriesWithParts(t, db.Write) {
			var i int
			if _, err := fmt.Sscan(e.Reason, &i); err != nil {
				t.Fatal(err)
			}
			if related, principal := len(e.Related), e.OnBehalfOf != nil; related != map[bool]int{true: 2}[i%10 == 3] || principal != (i%10 == 3) {
				t.Errorf("entry %d has %d related resources, and a principal: %t", i, related, principal)
			}
		}
		for table, want := range map[string]int64{"audit_entries": 100, "audit_related": 20, "audit_on_behalf_of": 10, "audit_native_actions": 1} {
			if n := count(t, db.Write, table); n != want {
				t.Errorf("%d rows in %s, want %d", n, table, want)
			}
		}
		if got, want := texts(t, db.Write, "SELECT entity_id FROM audit_entities"), []string{"SN-1", "im-1", "svc-1"}; !slices.Equal(got, want) {
			t.Errorf("the entities are %q, want %q", got, want)
		}
	})
}

func TestMostEventsLeaveNothingBeside(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		plain := func(e *audit.Event) { e.Outcome, e.Actor.Type = audit.OutcomeSuccess, audit.ActorUser }
		for _, e := range []audit.Event{anEvent(plain), anEvent(plain, func(e *audit.Event) { e.ID = "1" }), anEvent(func(e *audit.Event) { e.Actor = audit.System("cron") })} {
			if _, err := audit.Record(t.Context(), db.Write, e); err != nil {
				t.Fatal(err)
			}
		}
		for _, table := range []string{"audit_related", "audit_on_behalf_of", "audit_native_actions"} {
			if n := count(t, db.Write, table); n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
		if n := count(t, db.Write, "audit_entries WHERE outcome = '' AND reason = '' AND native_action = '' AND actor_type = '' AND masked = 0"); n != 3 {
			t.Errorf("%d of 3 entries have none of it", n)
		}
	})
}

// The transaction's number is for readers that follow the log in the order of commits.
func TestEntriesKnowTheirTransactionOnPostgreSQL(t *testing.T) {
	db := databasetest.Postgres(t)
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	err := db.Write.Transaction(func(tx *gorm.DB) error {
		for _, e := range []audit.Event{anEvent(), anEvent(further)} {
			if err := tx.Transaction(func(tx *gorm.DB) error { _, err := audit.Record(t.Context(), tx, e); return err }); err != nil { // a savepoint
				return err
			}
		}
		var own int64
		err := tx.Raw("SELECT COUNT(*) FROM audit_entries WHERE xact = pg_current_xact_id()::text::bigint").Scan(&own).Error
		if own != 2 {
			t.Errorf("%d of 2 entries are of this transaction", own)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPartsOfAnEntryNeverChange(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		for _, e := range []audit.Event{anEvent(further), anEvent()} {
			if _, err := audit.Record(t.Context(), db.Write, e); err != nil {
				t.Fatal(err)
			}
		}
		before := entriesWithParts(t, db.Write)
		for _, sql := range []string{
			"UPDATE audit_related SET role = 'other'",
			"UPDATE audit_on_behalf_of SET actor_name = 'Mallory'",
			"INSERT INTO audit_related SELECT org_id, id, 7, 'subnet', 'x', '', '' FROM audit_entries",
			"INSERT INTO audit_on_behalf_of SELECT org_id, id, '', 'u-9', 'Mallory', '', '' FROM audit_entries WHERE outcome = ''",
			"INSERT INTO audit_related (org_id, entry_id, entry_at, position, entity_type, entity_id, entity_name, role) SELECT org_id, id, ctid, 7, 'subnet', 'x', '', '' FROM audit_entries",
			"INSERT INTO audit_related (org_id, entry_id, entry_at, position, entity_type, entity_id, entity_name, role) SELECT org_id, id, '(9,9)', 7, 'subnet', 'x', '', '' FROM audit_entries",
			"REPLACE INTO audit_related SELECT org_id, entry_id, position, entity_type, 'x', '', '' FROM audit_related",
			"TRUNCATE audit_related",
			"TRUNCATE audit_on_behalf_of",
		} {
			tx := db.Write.Exec(sql)
			if added := tx.Error == nil && tx.RowsAffected > 0; added {
				t.Errorf("%s: changed %d rows", sql, tx.RowsAffected)
			}
		}
		if after := entriesWithParts(t, db.Write); !reflect.DeepEqual(after, before) {
			t.Errorf("the entries became %+v", after)
		}
	})
}

// A role that records has names of its own: they do not stand for the log's.
func TestPartsAreNotAddedByOtherNames(t *testing.T) {
	db := databasetest.Postgres(t)
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	if _, err := audit.Record(t.Context(), db.Write, anEvent()); err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string][]string{
		"none":              nil,
		"a temporary table": {"CREATE TEMP TABLE audit_entries (org_id bigint, id uuid, xact bigint)"},
		"a temporary table with the entry": {"CREATE TEMP TABLE audit_entries (org_id bigint, id uuid, xact bigint)",
			"INSERT INTO pg_temp.audit_entries SELECT org_id, id, pg_current_xact_id()::text::bigint FROM public.audit_entries"},
		"an operator": {"CREATE SCHEMA mine", "CREATE FUNCTION mine.never(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
			"CREATE OPERATOR mine.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = mine.never)", "SET LOCAL search_path = mine, pg_catalog, public"},
	} {
		for _, at := range []string{"NULL", "'(0,1)'"} {
			tx := db.Write.Begin()
			for _, statement := range before {
				if err := tx.Exec(statement).Error; err != nil {
					t.Fatal(err)
				}
			}
			err := tx.Exec("INSERT INTO audit_related (org_id, entry_id, entry_at, position, entity_type, entity_id, entity_name, role) SELECT org_id, id, " + at +
				", 7, 'subnet', 'x', '', '' FROM public.audit_entries").Error
			tx.Rollback()
			if err == nil || !strings.Contains(err.Error(), "is append-only") {
				t.Errorf("with %s a part at %s is added: %v", name, at, err)
			}
		}
	}
}

// The key of an event is that of before where the event says nothing new: one that was sent before an upgrade and
// again after it is stored once.
func TestTheFingerprintOfMostEventsIsThatOfBefore(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		at := time.Now().Add(-time.Hour).Truncate(time.Hour)
		_, err := audit.Record(t.Context(), db.Write, audit.Event{Organization: "acme", ID: "1", Action: action.ServiceUpdate, EntityID: "svc-1",
			Actor: audit.Actor{ID: "u1"}, OccurredAt: at})
		if err != nil {
			t.Fatal(err)
		}
		said := "service:update\x00service\x00svc-1\x00\x00u1\x00u1\x00\x00\x00\x00\x00" + fmt.Sprint(at.UnixMicro())
		var stored []byte
		if err := db.Write.Raw("SELECT fingerprint FROM audit_event_keys").Row().Scan(&stored); err != nil || [sha256.Size]byte(stored) != sha256.Sum256([]byte(said)) {
			t.Errorf("the fingerprint is %x, %v", stored, err)
		}
	})
}
