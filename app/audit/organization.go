package audit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
)

// Organization describes a tenant to EnsureOrganization.
type Organization struct {
	// Slug is the short name in addresses: lower case letters, digits and inner hyphens, at most
	// 63. Empty means one made from Name, or from ExternalID.
	Slug string
	// ExternalID is the application's own ID for the tenant, where it has one: at most 512 bytes.
	ExternalID string
	// Name is shown to people: at most 200 bytes. Empty means Slug.
	Name string
}

// EnsureOrganization finds the organization by its external ID, or by its slug where it has none,
// and creates it (retention 90 days, logging on) where it does not exist. It returns the slug,
// which Event.Organization takes. An organization that exists is not changed.
//
// Errors: *InvalidEventError for a field that cannot be stored, and where Slug is in use by an
// organization with another external ID; tx stays usable. It waits for another transaction that is
// creating the same organization. In a dry run it returns the slug it would try first.
func EnsureOrganization(ctx context.Context, tx *gorm.DB, organization Organization) (slug string, err error) {
	return ensureOrganization(ctx, overGORM(tx), organization)
}

func ensureOrganization(ctx context.Context, in handle, organization Organization) (slug string, err error) {
	if in.err != nil {
		return "", in.err
	}
	if organization.ExternalID != "" {
		if err := event.CheckID("external_id", organization.ExternalID, event.MaxEntityID); err != nil {
			return "", err
		}
	} else if organization.Slug == "" && organization.Name == "" {
		return "", fault.Newf("organization", ErrNoOrganization, "neither slug, external ID nor name is given")
	}
	wanted := organization.Slug
	if wanted == "" {
		wanted = slugFrom(organization.Name, organization.ExternalID)
	}
	if err := models.CheckSlug(wanted); err != nil {
		return "", err
	}
	if organization.Name == "" {
		organization.Name = wanted
	}
	slug = wanted
	if in.DryRun() {
		return slug, nil
	}
	if err := in.BeginWriting(ctx); err != nil {
		return "", in.databaseError(ctx, err)
	}
	for attempt := 2; ; attempt++ {
		found, err := models.OrganizationSlug(ctx, in.Handle, models.OrganizationRef{Slug: slug, ExternalID: organization.ExternalID})
		switch {
		case err == nil:
			return found, nil
		case !errors.Is(err, models.ErrNotFound):
			return "", in.databaseError(ctx, err)
		}
		_, err = models.CreateOrganization(ctx, in.Handle, organization.Name, slug, organization.ExternalID)
		var refused *fault.Field
		switch {
		case err == nil:
			return slug, nil
		case errors.As(err, &refused):
			return "", refused
		case !errors.Is(err, models.ErrTaken):
			return "", in.databaseError(ctx, err)
		}
		// Taken: by another transaction a moment ago, which the next look finds, or by an
		// organization with another external ID.
		if organization.Slug != "" && attempt > 2 {
			return "", fault.Newf("slug", fault.Taken, "%q belongs to another organization", slug)
		}
		if organization.Slug == "" {
			slug = fmt.Sprintf("%.*s-%d", models.MaxSlugLength-4, wanted, attempt)
		}
	}
}

var notInSlug = regexp.MustCompile(`[^a-z0-9]+`)

// slugFrom makes a slug of the first text that has letters or digits to make it of.
func slugFrom(texts ...string) string {
	for _, text := range texts {
		slug := notInSlug.ReplaceAllString(models.Fold(text), "-")
		slug = strings.Trim(slug[:min(len(slug), models.MaxSlugLength-4)], "-")
		if models.CheckSlug(slug) == nil {
			return slug
		}
	}
	return "org"
}
