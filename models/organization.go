package models

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Retention bounds and default, in days.
const (
	MinRetentionDays     = 1
	MaxRetentionDays     = 365
	DefaultRetentionDays = 90
)

// Organization is the tenant: whose log it is, and how long entries are kept.
type Organization struct {
	ID             int64
	Slug           string
	ExternalID     *string // the application's own ID for the tenant, where it brings one
	Name           string
	RetentionDays  int
	LoggingEnabled bool
	ExpiredBefore  Micros // entries that occurred earlier stay expired, whatever retention is set later
	CreatedAt      Micros
	ClosedAt       Micros // when it was deleted; zero while it is open

	// A shorter retention that an admin chose is in force from PendingFrom on; until then it can be
	// undone. Both are zero where none was chosen. See InForce.
	PendingRetentionDays int
	PendingFrom          Micros

	// Hidden is what its reader may not see: no question about its entries is answered with that, as with nothing that
	// was before KeptSince. It is set where it becomes known who reads; nil hides nothing.
	Hidden *Restriction `gorm:"-"`
}

func (Organization) TableName() string { return "audit_organizations" }

// Closed reports whether the organization was deleted: its log can be read by its admins and auditors, nothing is
// recorded any more.
func (o Organization) Closed() bool { return o.ClosedAt != 0 }

// InForce is the organization as it is at now: a shorter retention whose moment has come holds,
// whether or not the database has been brought up to that (see SettleRetention).
func (o Organization) InForce(now time.Time) Organization {
	if o.PendingFrom != 0 && o.PendingFrom <= MicrosOf(now) {
		o.RetentionDays, o.PendingRetentionDays, o.PendingFrom = o.PendingRetentionDays, 0, 0
	}
	return o
}

// KeptSince is the moment at now before which entries have expired: they are invisible at once and
// deleted by the next clean-up.
func (o Organization) KeptSince(now time.Time) Micros {
	return max(o.ExpiredBefore, MicrosOf(now.AddDate(0, 0, -o.InForce(now).RetentionDays)))
}

// keptSinceSQL is KeptSince of a row of audit_organizations, in SQL, at the moment that the expression
// now is in microseconds.
func keptSinceSQL(d dialect, now string) string {
	days := "CASE WHEN pending_from <> 0 AND pending_from <= " + now + " THEN pending_retention_days ELSE retention_days END"
	return d.greatest() + "(expired_before, " + now + " - (" + days + ") * 86400000000)"
}

// LogGone reports whether the organization was deleted and its last entry has expired.
func (o Organization) LogGone(now time.Time) bool {
	return o.Closed() && o.ClosedAt < o.KeptSince(now)
}

// historyOutlives is for how many days the settings history of a deleted organization can be read
// once its last entry has expired.
const historyOutlives = 365

// ReadableUntil is when the last entry of a deleted organization expires, and HistoryUntil when its
// admins can read its settings history no more. Both are zero while it is open.
func (o Organization) ReadableUntil() Micros { return o.sinceClosed(o.RetentionDays) }

// HistoryUntil is described at ReadableUntil.
func (o Organization) HistoryUntil() Micros { return o.sinceClosed(o.RetentionDays + historyOutlives) }

func (o Organization) sinceClosed(days int) Micros {
	if !o.Closed() {
		return 0
	}
	return MicrosOf(o.ClosedAt.Time().AddDate(0, 0, days))
}

// Gone reports whether the organization was deleted, its last entry has expired, and so has the time in
// which its settings history could still be read: nothing is left that anyone could read.
func (o Organization) Gone(now time.Time) bool {
	return o.Closed() && o.HistoryUntil() < MicrosOf(now)
}

// OrganizationByRef finds an organization by its external ID where ref has one, by its slug
// otherwise, or ErrNotFound.
func OrganizationByRef(ctx context.Context, tx *gorm.DB, ref OrganizationRef) (Organization, error) {
	column, value := ref.column()
	var o Organization
	// Not Take: that none is there yet is usual, and GORM would write an error to the application's log.
	found := tx.WithContext(ctx).Where(column+" = ?", value).Limit(1).Find(&o)
	if found.Error != nil {
		return o, fmt.Errorf("find organization %q: %w", value, found.Error)
	}
	if found.RowsAffected == 0 {
		return o, fmt.Errorf("organization %q: %w", value, ErrNotFound)
	}
	return o, nil
}

// OrganizationSlug finds the slug of an organization where h writes, or ErrNotFound.
func OrganizationSlug(ctx context.Context, h Handle, ref OrganizationRef) (slug string, err error) {
	if h.err != nil {
		return "", h.err
	}
	column, value := ref.column()
	err = queryRows(ctx, h.run, func(rows Rows) error { return rows.Scan(&slug) },
		h.dialect.rebind("SELECT slug FROM audit_organizations WHERE "+column+" = ?"), value)
	switch {
	case err != nil:
		return "", fmt.Errorf("find organization %q: %w", value, err)
	case slug == "":
		return "", fmt.Errorf("organization %q: %w", value, ErrNotFound)
	}
	return slug, nil
}

// Limits of an organization's names, in bytes.
const (
	MaxSlugLength = 63
	MaxNameLength = 200
)

var slugGrammar = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// reservedSlugs would make an address read as something else.
var reservedSlugs = map[string]bool{"new": true, "settings": true}

// CheckSlug returns a *fault.Field where slug cannot be an organization's: it is made of
// lower-case letters, digits and inner hyphens, at most MaxSlugLength of them.
func CheckSlug(slug string) error {
	switch {
	case slug == "":
		return fault.Newf("slug", fault.Required, "Enter a short name, such as acme.")
	case len(slug) > MaxSlugLength:
		return fault.Newf("slug", fault.TooLarge, "Use at most %d characters.", MaxSlugLength)
	case !slugGrammar.MatchString(slug):
		return fault.Newf("slug", fault.Invalid, "Use lower-case letters, digits and hyphens, and start and end with a letter or digit.")
	case reservedSlugs[slug]:
		return fault.Newf("slug", fault.Reserved, "%q is reserved; choose another.", slug)
	}
	return nil
}

// CheckName returns a *fault.Field where name cannot be shown as the name of an
// organization or a person: it is empty, too long, or holds control characters.
func CheckName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return fault.Newf("name", fault.Required, "Enter a name.")
	case len(name) > MaxNameLength:
		return fault.Newf("name", fault.TooLarge, "Use a shorter name, at most %d bytes.", MaxNameLength)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fault.Newf("name", fault.Invalid, "Leave out line breaks and other control characters.")
	}
	return nil
}

// CreateOrganization adds an organization that keeps entries DefaultRetentionDays and has logging
// on. externalID is the application's own ID for it; empty means it has none.
//
// Errors: *fault.Field for a name or slug that breaks the rules, ErrTaken where the slug or the
// external ID is in use (also by a closed organization). Both leave the transaction usable. It waits for
// another transaction that is creating the same slug.
func CreateOrganization(ctx context.Context, h Handle, name, slug, externalID string) (Organization, error) {
	name = strings.TrimSpace(name)
	if err := CheckName(name); err != nil {
		return Organization{}, err
	}
	if err := CheckSlug(slug); err != nil {
		return Organization{}, err
	}
	if h.err != nil {
		return Organization{}, h.err
	}
	o := Organization{
		Slug:           slug,
		Name:           name,
		RetentionDays:  DefaultRetentionDays,
		LoggingEnabled: true,
		CreatedAt:      MicrosOf(h.Now()),
	}
	var external any // NULL, or a text
	if externalID != "" {
		o.ExternalID, external = &externalID, externalID
	}
	err := queryRows(ctx, h.run, func(rows Rows) error { return rows.Scan(&o.ID) }, h.dialect.rebind(`
INSERT INTO audit_organizations (slug, external_id, name, retention_days, logging_enabled, created_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING id`), o.Slug, external, o.Name, o.RetentionDays, o.LoggingEnabled, int64(o.CreatedAt))
	switch {
	case err != nil:
		return Organization{}, fmt.Errorf("create organization %q: %w", slug, err)
	case o.ID == 0:
		return Organization{}, fmt.Errorf("create organization %q: %w", slug, ErrTaken)
	}
	return o, nil
}
