package recordingtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// toOrganizations are the ways in which recordOnce finds an organization.
var toOrganizations = map[string]func(e *audit.Event, name string){
	"by slug":        func(e *audit.Event, name string) { e.Organization = name },
	"by external ID": func(e *audit.Event, name string) { e.Organization, e.ExternalID = "", "external "+name },
}

// recordOnce records an event of the organization in every way, and answers the slugs that the entries are under.
func recordOnce(t *testing.T, db *gorm.DB, name string) (slugs []string, errs []error) {
	t.Helper()
	set(t, db, "DELETE FROM audit_entries")
	for _, organization := range toOrganizations {
		for way, record := range recorders {
			e := past(rand.Text(), func(e *audit.Event) { organization(e, name) })
			if way == "Record" {
				e.ID = "" // with one it is recorded as several are
			}
			_, err := record(t.Context(), db, e)
			errs = append(errs, err)
		}
	}
	err := db.Raw("SELECT o.slug FROM audit_entries e JOIN audit_organizations o ON o.id = e.org_id").Scan(&slugs).Error
	if err != nil {
		t.Fatal(err)
	}
	return slugs, errs
}

func expectOnlyIn(t *testing.T, db *gorm.DB, name, slug string) {
	t.Helper()
	slugs, errs := recordOnce(t, db, name)
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if len(slugs) != len(errs) {
		t.Errorf("%d entries of %d events", len(slugs), len(errs))
	}
	for _, found := range slugs {
		if found != slug {
			t.Errorf("an event of %s is recorded in %s", name, found)
		}
	}
}

// What is remembered of an organization is not believed: another database, or a later organization, may have the name.
func TestAnEventIsRecordedInTheOrganizationThatHasItsNameNow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		organization := func(name string) audit.Organization {
			return audit.Organization{Slug: name, ExternalID: "external " + name, Name: name}
		}
		other := databasetest.SQLite(t)
		if db.Write.Name() == "postgres" {
			other = databasetest.Postgres(t)
		}
		for n := range 3 {
			ensure(t, other.Write, organization(fmt.Sprint("before-", n)))
		}
		for _, db := range []*database.DB{db, other} {
			ensure(t, db.Write, organization("acme"))
		}
		for range 2 {
			for _, db := range []*database.DB{db, other} {
				expectOnlyIn(t, db.Write, "acme", "acme")
			}
		}

		undone := errors.New("undone")
		err := db.Write.Transaction(func(tx *gorm.DB) error {
			ensure(t, tx, organization("fresh"))
			expectOnlyIn(t, tx, "fresh", "fresh")
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		expectNone := func(name string) {
			t.Helper()
			slugs, errs := recordOnce(t, db.Write, name)
			for _, err := range errs {
				if !errors.Is(err, audit.ErrNoOrganization) {
					t.Errorf("answers %v", err)
				}
			}
			if len(slugs) > 0 {
				t.Errorf("recorded in %s", slugs)
			}
		}
		expectNone("fresh")
		ensure(t, db.Write, organization("in-between"))
		ensure(t, db.Write, organization("fresh"))
		expectOnlyIn(t, db.Write, "fresh", "fresh")

		set(t, db.Write, "UPDATE audit_organizations SET slug = 'renamed', external_id = 'external renamed' WHERE slug = 'fresh'")
		expectNone("fresh")
		expectOnlyIn(t, db.Write, "renamed", "renamed")
		ensure(t, db.Write, organization("fresh"))
		expectOnlyIn(t, db.Write, "fresh", "fresh")

		set(t, db.Write, "DELETE FROM audit_organizations WHERE slug = 'fresh'")
		expectNone("fresh")
	})
}
