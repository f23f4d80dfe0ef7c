package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/audittest"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// Service is what the service of these examples keeps in its database.
type Service struct {
	ID       string
	Name     string `json:"name"`
	Replicas int    `json:"replicas"`
	Password string `json:"password" audit:"secret"`
}

var (
	db      *gorm.DB // the service's database
	pool    *sql.DB  // the same, without GORM
	service = Service{ID: "svc-42", Name: "checkout", Replicas: 2}
	ctx     = audit.WithActor(context.Background(), audit.Actor{ID: "u-7", Name: "Ada Lovelace"}) // as middleware does
)

// The change and the entry commit together, or not at all.
func ExampleRecord() {
	err := db.Transaction(func(tx *gorm.DB) error {
		before := service
		service.Replicas = 4
		if err := tx.Save(&service).Error; err != nil {
			return err
		}
		_, err := audit.Record(ctx, tx, audit.Event{
			Organization: "acme",
			Action:       action.ServiceUpdate,
			EntityID:     service.ID,
			EntityName:   service.Name,
			Metadata:     map[string]any{"changes": audit.Changes(before, service)},
		})
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A refused event leaves the transaction as it was: here the change is made all the same, without an entry.
func ExampleRecord_refused() {
	err := db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Delete(&service).Error; err != nil {
			return err
		}
		_, err := audit.Record(ctx, tx, audit.Event{Organization: "acme", Action: action.ServiceDelete, EntityID: service.ID})
		if refused := (*audit.InvalidEventError)(nil); errors.As(err, &refused) {
			log.Printf("not in the audit log: %s (%s)", refused, refused.Code)
			return nil
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleRecordAll() {
	services := []Service{{ID: "svc-1"}, {ID: "svc-2"}}
	err := db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Delete(&services).Error; err != nil {
			return err
		}
		var events []audit.Event
		for _, service := range services {
			events = append(events, audit.Event{Organization: "acme", Action: action.ServiceDelete, EntityID: service.ID})
		}
		_, err := audit.RecordAll(ctx, tx, events)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleDialect_Record() {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer tx.Rollback() // of no effect after Commit
	if _, err := tx.ExecContext(ctx, "DELETE FROM services WHERE id = $1", service.ID); err != nil {
		log.Fatal(err)
	}
	_, err = audit.PostgreSQL.Record(ctx, tx, audit.Event{Organization: "acme", Action: action.ServiceDelete, EntityID: service.ID})
	if err != nil {
		log.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		log.Fatal(err)
	}
}

// A tenant's organization, made with the tenant's first event.
func ExampleEnsureOrganization() {
	err := db.Transaction(func(tx *gorm.DB) error {
		_, err := audit.EnsureOrganization(ctx, tx, audit.Organization{ExternalID: "tenant-1", Name: "Acme"})
		if err != nil {
			return err
		}
		_, err = audit.Record(ctx, tx, audit.Event{ExternalID: "tenant-1", Action: action.ServiceCreate, EntityID: service.ID})
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A history that was kept elsewhere. Run again it stores nothing twice.
func ExampleBackfill() {
	then := time.Now().AddDate(0, 0, -7).Truncate(time.Second) // as the old log has it
	err := db.Transaction(func(tx *gorm.DB) error {
		_, err := audit.Backfill(ctx, tx, []audit.Event{{
			ID:           "old-log-1742",
			OccurredAt:   then,
			Organization: "acme",
			Action:       action.ServiceCreate,
			EntityID:     service.ID,
			Actor:        audit.Actor{ID: "u-3", Name: "Grace Hopper"},
		}})
		return err
	})
	if refused := (*audit.EventsError)(nil); errors.As(err, &refused) {
		for _, event := range refused.Events {
			log.Printf("event %d: %v", event.Index, event.Err)
		}
	}
}

func ExampleBatcher() {
	batcher, err := audit.NewBatcher(db, audit.BatcherConfig{}) // at start; or audit.PostgreSQL.NewBatcher(pool, …)
	if err != nil {
		log.Fatal(err)
	}
	// From any number of goroutines:
	_, err = batcher.Record(ctx, audit.Event{Organization: "acme", Action: "report:view", EntityID: "r-1"})
	switch {
	case errors.Is(err, audit.ErrOutcomeUnknown): // with an ID the event could be recorded again
	case err != nil:
		log.Print(err)
	}
	// Before the program ends:
	closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = batcher.Close(closing)
	if unflushed := (*audit.UnflushedError)(nil); errors.As(err, &unflushed) {
		for _, lost := range unflushed.Events {
			log.Printf("%s of %s: %v", lost.Event.Action, lost.Event.EntityID, lost.Err)
		}
	}
}

func ExampleChanges() {
	before := Service{ID: "svc-42", Name: "checkout", Replicas: 2, Password: "old"}
	after := Service{ID: "svc-42", Name: "checkout", Replicas: 4, Password: "new"}
	changes := audit.Changes(before, after)
	for _, field := range slices.Sorted(maps.Keys(changes)) {
		fmt.Println(field, changes[field].Before, "→", changes[field].After)
	}
	// Output:
	// password [masked] → [masked]
	// replicas 2 → 4
}

func ExampleStrict() {
	var recorder audittest.Recorder
	misspelt := audit.Event{Organization: "acme", Action: "service:updaet", EntityID: "svc-42"}
	_, err := recorder.Record(ctx, misspelt)
	fmt.Println(err)
	_, err = recorder.Record(audit.Strict(ctx), misspelt)
	fmt.Println(err)
	fmt.Println(errors.Is(err, audit.ErrUnregisteredAction))
	// Output:
	// <nil>
	// action: "service:updaet" is neither in the catalogue nor registered
	// true
}
