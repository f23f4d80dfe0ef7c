package benchdata

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models"
	followed "github.com/auditlogs/auditlogs/models/following"
)

// chunk is how many entries are written at a time.
const chunk = 50_000

// Fill writes the log of spec into db, which is migrated and empty, past what keeps rows in order
// when applications record: only the result is the same. Indexes are made afterwards. progress, which
// may be nil, hears how many entries are written. The organizations keep entries for a year.
func Fill(ctx context.Context, db *database.DB, spec Spec, progress func(done int)) error {
	if err := fillWith(ctx, db, spec, progress, writer.tidy); err != nil {
		return err
	}
	return CatchUp(ctx, db)
}

// Follow has the consumers of a server follow a log until stop.
func Follow(ctx context.Context, db *database.DB, config jobs.FollowerConfig) (stop func(), err error) {
	store, err := db.Store(nil)
	if err != nil {
		return nil, err
	}
	follower := jobs.NewFollower(store, slog.New(slog.DiscardHandler), jobs.Consumers, config)
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { follower.Run(ctx) })
	return func() {
		cancel()
		ended.Wait()
	}, nil
}

// CatchUp has the consumers of a server read all of a log.
func CatchUp(ctx context.Context, db *database.DB) error {
	store, err := db.Store(nil)
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	// However slow the machine is, batches are the same, and so is what they leave.
	config := jobs.FollowerConfig{BatchTime: time.Minute, Interval: 10 * time.Millisecond, LeaderCheck: 10 * time.Millisecond}
	stop, err := Follow(ctx, db, config)
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	defer stop()
	for _, consumer := range jobs.Consumers {
		for {
			_, joined, err := followed.PlaceOf(store.Reader(ctx), consumer.Name)
			if err == nil && joined {
				var lag time.Duration
				if lag, err = followed.New(store).Lag(ctx, consumer.Name); lag == 0 && err == nil {
					break
				}
			}
			if err != nil {
				return fmt.Errorf("catch up: %w", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// Import is Fill, but leaves the database as a bulk import does: it has no statistics of what there
// is, and PostgreSQL has not vacuumed it.
func Import(ctx context.Context, db *database.DB, spec Spec) error {
	return fillWith(ctx, db, spec, nil, func(writer, context.Context) error { return nil })
}

func fillWith(ctx context.Context, db *database.DB, spec Spec, progress func(done int), after func(writer, context.Context) error) error {
	if progress == nil {
		progress = func(int) {}
	}
	organizations, err := found(ctx, db.Write, spec)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	var w writer
	switch db.Write.Name() {
	case "postgres":
		w, err = newPostgresWriter(ctx, db.Write)
	default:
		w, err = newSQLiteWriter(ctx, db.Write)
	}
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	if err = fill(ctx, w, spec, organizations, progress); err == nil {
		err = after(w, ctx)
	}
	if closing := w.close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	return nil
}

// writer is a fast way into a database. Rows are values in the order of the columns below.
type writer interface {
	// begin drops indexes that are made faster afterwards.
	begin(ctx context.Context) error
	write(ctx context.Context, table string, columns []string, rows [][]any) error
	// end makes them again.
	end(ctx context.Context) error
	// tidy leaves the tables as the database's own upkeep would in time.
	tidy(ctx context.Context) error
	close() error
}

var (
	entryColumns = []string{"org_id", "id", "occurred_at", "recorded_at", "action", "entity_type", "entity_id", "entity_name",
		"actor_id", "actor_key", "actor_name", "actor_email", "source", "ip", "user_agent", "request_id", "api_key_id", "api_key_name", "metadata"}
	entityColumns = []string{"org_id", "id", "month", "entity_type", "entity_id", "id_key", "name_key"}
	actorColumns  = []string{"org_id", "id", "month", "actor_id", "actor_key", "actor_name", "actor_email", "search_key"}
)

// found creates the organizations and answers their IDs, the large one's first.
func found(ctx context.Context, db *gorm.DB, spec Spec) (ids []int64, err error) {
	began := spec.Until.Add(-(Days + 1) * 24 * time.Hour)
	err = db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for n := range SmallOrganizations + 1 {
			slug := slugOf(n)
			if _, err := audit.EnsureOrganization(ctx, tx, audit.Organization{Slug: slug}); err != nil {
				return err
			}
			org, err := models.OrganizationByRef(ctx, tx, models.OrganizationRef{Slug: slug})
			if err != nil {
				return err
			}
			ids = append(ids, org.ID)
		}
		return tx.Exec("UPDATE audit_organizations SET retention_days = 365, created_at = ?", models.MicrosOf(began)).Error
	})
	return ids, err
}

func fill(ctx context.Context, w writer, spec Spec, organizations []int64, progress func(int)) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	seen := &months{entities: map[entityOf]uint32{}, actors: map[actorOf]uint32{}, first: models.MonthOf(models.MicrosOf(spec.happening(0).at))}
	entries := make([][]any, 0, min(chunk, spec.Rows))
	var entities, actors [][]any
	for n := range spec.Rows {
		h := spec.happening(n)
		occurred := models.MicrosOf(h.at)
		orgID, month := organizations[h.org], models.MonthOf(occurred)
		actorID, actorName, actorEmail, ip, agent, request := models.SystemActorID, models.SystemActorID, "", "", "", ""
		if h.person >= 0 {
			actorID, actorName, actorEmail = h.actorID(), h.actorName(), h.actorEmail()
			ip, agent, request = h.ip(), userAgent, h.requestID()
		}
		key := h.apiKey()
		entityType, entityID, entityName := h.action.Entity(), h.entityID(), h.entityName()
		actorKey := models.Fold(actorName)
		id := models.DerivedEntryID(occurred, uint32(n), fmt.Sprint(spec.Seed, n))
		entries = append(entries, []any{orgID, id, int64(occurred), int64(occurred), string(h.action), entityType, entityID, entityName,
			actorID, actorKey, actorName, actorEmail, h.source(), ip, agent, request, key.ID, key.Name, h.metadata()})
		if number := seen.entity(entityOf{h.org, entityType, h.entity}, month); number > 0 {
			entities = append(entities, []any{orgID, rowID{orgID, number}, month, entityType, entityID, models.Fold(entityID), models.Fold(entityName)})
		}
		if number := seen.actor(actorOf{h.org, h.person}, month); number > 0 {
			actors = append(actors, []any{orgID, rowID{orgID, number}, month, actorID, actorKey, actorName, actorEmail,
				models.Fold(actorID) + "\n" + actorKey + "\n" + models.Fold(actorEmail)})
		}
		if len(entries) < cap(entries) && n+1 < spec.Rows {
			continue
		}
		for _, rows := range []struct {
			table   string
			columns []string
			rows    [][]any
		}{{"audit_entries", entryColumns, entries}, {"audit_entities", entityColumns, entities}, {"audit_actors", actorColumns, actors}} {
			if err := w.write(ctx, rows.table, rows.columns, rows.rows); err != nil {
				return err
			}
		}
		entries, entities, actors = entries[:0], entities[:0], actors[:0]
		progress(n + 1)
	}
	return w.end(ctx)
}

// months knows in which months of the log an entity or actor has been seen.
type months struct {
	first                 int // the month of the lowest bit
	entities              map[entityOf]uint32
	actors                map[actorOf]uint32
	lastEntity, lastActor int
}

type entityOf struct {
	org        int
	entityType string
	entity     int
}

type actorOf struct{ org, person int }

// entity numbers the entity's row of a month when it is first seen there; 0 afterwards.
func (m *months) entity(key entityOf, month int) int {
	bit := uint32(1) << (month - m.first)
	if m.entities[key]&bit != 0 {
		return 0
	}
	m.entities[key] |= bit
	m.lastEntity++
	return m.lastEntity
}

// actor is the same of an actor.
func (m *months) actor(key actorOf, month int) int {
	bit := uint32(1) << (month - m.first)
	if m.actors[key]&bit != 0 {
		return 0
	}
	m.actors[key] |= bit
	m.lastActor++
	return m.lastActor
}

// rowID is the ID of an entity's or actor's row.
type rowID struct {
	orgID  int64
	number int
}

// sqlite has the organization in the upper bits, so that full-text search can stay within it.
func (id rowID) sqlite() int64 { return id.orgID<<40 + int64(id.number) }

// postgres is a UUID, in no order.
func (id rowID) postgres() (uuid [16]byte) {
	binary.BigEndian.PutUint64(uuid[:], uint64(id.number)*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(uuid[8:], uint64(id.number))
	return uuid
}
