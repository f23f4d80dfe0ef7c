package recordingtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/client"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// appsOwn are the actions that only the web app records.
func appsOwn() []action.Action {
	own := []action.Action{action.OrganizationAuditConfigUpdate}
	for _, group := range action.Catalogue() {
		if group.Name == action.Access {
			own = append(own, group.Actions...)
		}
	}
	return own
}

func TestWhatComesFromOutsideCannotBeTheAppsOwn(t *testing.T) {
	client, err := client.New(client.Config{URL: "http://127.0.0.1:1", Key: "alk_x", RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		batcher, err := audit.NewBatcher(db.Write, audit.BatcherConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer batcher.Close(context.Background())
		byKey := models.WithAPIKey(t.Context(), "key_1", "CI")
		waysIn := map[string]func(tx *gorm.DB, e audit.Event) error{
			"by key": func(tx *gorm.DB, e audit.Event) error { _, err := audit.Record(byKey, tx, e); return err },
			"several by key": func(tx *gorm.DB, e audit.Event) error {
				_, err := audit.RecordAll(byKey, tx, []audit.Event{anEvent(), e})
				return err
			},
			"from a script": func(tx *gorm.DB, e audit.Event) error {
				_, err := audit.Record(event.FromOutside(t.Context()), tx, e)
				return err
			},
			"by key, with a Batcher": func(_ *gorm.DB, e audit.Event) error { _, err := batcher.Record(byKey, e); return err },
			"a history": func(tx *gorm.DB, e audit.Event) error {
				e.ID, e.OccurredAt = "1", time.Now()
				_, err := audit.Backfill(t.Context(), tx, []audit.Event{e})
				return err
			},
			"the client": func(_ *gorm.DB, e audit.Event) error { _, err := client.Record(t.Context(), e); return err },
			"checked":    func(_ *gorm.DB, e audit.Event) error { return event.Validate(byKey, e) },
			"marked as the app's": func(tx *gorm.DB, e audit.Event) error {
				_, err := audit.Record(models.AsAdministration(byKey), tx, e)
				return err
			},
			"with its own key empty": func(tx *gorm.DB, e audit.Event) error {
				_, err := audit.Record(models.WithAPIKey(t.Context(), "", ""), tx, e)
				return err
			},
		}
		refused := append(appsOwn(), action.DeploymentStatusUpdate)
		for name, record := range waysIn {
			for _, action := range refused {
				err := db.Write.Transaction(func(tx *gorm.DB) error { return record(tx, anEvent(func(e *audit.Event) { e.Action = action })) })
				var invalid *audit.InvalidEventError
				if !errors.As(err, &invalid) || invalid.Field != "action" {
					t.Errorf("%s: %s answers %v", name, action, err)
				}
			}
		}
		if n := len(entries(t, db.Write)); n != 0 {
			t.Errorf("%d entries", n)
		}

		// What applications have, too, comes in; and in the program itself everything does.
		for _, action := range []action.Action{action.OrganizationCreate, action.OrganizationUpdate, action.OrganizationDelete, "member:add"} {
			if _, err := audit.Record(byKey, db.Write, anEvent(func(e *audit.Event) { e.Action = action })); err != nil {
				t.Errorf("%s by key: %v", action, err)
			}
		}
		if _, err := audit.Record(byKey, db.Write, anEvent(func(e *audit.Event) { e.EntityType = "member" })); err != nil {
			t.Errorf("a member as the entity, by key: %v", err)
		}
		for _, action := range refused {
			if receipt, err := audit.Record(t.Context(), db.Write, anEvent(func(e *audit.Event) { e.Action = action })); !receipt.Stored || err != nil {
				t.Errorf("%s of the program itself: %+v, %v", action, receipt, err)
			}
		}
	})
}

func TestOffStopsApplicationsOnly(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = ?", false)
		own := models.AsAdministration(t.Context())
		byKey := models.WithAPIKey(own, "key_1", "")
		of := func(name action.Action) audit.Event { return anEvent(func(e *audit.Event) { e.Action = name }) }
		for _, action := range appsOwn() {
			if receipt, err := audit.Record(t.Context(), db.Write, of(action)); !receipt.Stored || err != nil {
				t.Errorf("%s: %+v, %v", action, receipt, err)
			}
		}
		for _, action := range []action.Action{action.OrganizationCreate, action.OrganizationUpdate, action.GitHubInstallationLink} {
			if receipt, err := audit.Record(own, db.Write, of(action)); !receipt.Stored || err != nil {
				t.Errorf("%s of the web app: %+v, %v", action, receipt, err)
			}
			if receipts, err := audit.RecordAll(own, db.Write, []audit.Event{of(action)}); err != nil || !receipts[0].Stored {
				t.Errorf("%s of the web app, one of several: %+v, %v", action, receipts, err)
			}
			for name, ctx := range map[string]context.Context{"an application": t.Context(), "a key": byKey} {
				if receipt, err := audit.Record(ctx, db.Write, of(action)); receipt.Stored || err != nil {
					t.Errorf("%s of %s: %+v, %v", action, name, receipt, err)
				}
			}
		}
		if receipt, err := audit.Record(byKey, db.Write, of(action.OrganizationDelete)); receipt.Stored || err != nil {
			t.Errorf("organization:delete by key: %+v, %v", receipt, err)
		}
		if receipt, err := audit.Record(t.Context(), db.Write, of(action.DeploymentStatusUpdate)); receipt.Stored || err != nil {
			t.Errorf("deployment:status_update: %+v, %v", receipt, err)
		}
		foreign := anEvent(func(e *audit.Event) { e.Action, e.NativeAction = "", "Member.Remove" })
		if receipt, err := audit.Record(t.Context(), db.Write, foreign); receipt.Stored || err != nil {
			t.Errorf("what another system calls Member.Remove: %+v, %v", receipt, err)
		}
		if n, want := len(entries(t, db.Write)), len(appsOwn())+6; n != want {
			t.Errorf("%d entries, want %d", n, want)
		}
		// The entities and actors of what is stored can be searched, whoever else names them.
		both := of(action.OrganizationUpdate)
		both.EntityID = "only-here"
		entryOf := func(evenWhenOff bool) models.NewEntry {
			return models.NewEntry{Organization: models.OrganizationRef{Slug: "acme"}, EvenWhenOff: evenWhenOff, Entry: models.Entry{
				ID: models.NewEntryID(models.MicrosOf(time.Now())), OccurredAt: models.MicrosOf(time.Now()), Action: string(both.Action),
				EntityType: "organization", EntityID: "only-here", ActorID: "u9", ActorName: "u9"}}
		}
		if _, err := models.InsertEntries(t.Context(), models.HandleOf(db.Write), []models.NewEntry{entryOf(false), entryOf(true)}, models.BatchOptions{}); err != nil {
			t.Fatal(err)
		}
		var named int64
		if err := db.Write.Table("audit_entities").Where("entity_id = 'only-here'").Count(&named).Error; err != nil || named != 1 {
			t.Errorf("%d entities are named (%v)", named, err)
		}
	})
}
