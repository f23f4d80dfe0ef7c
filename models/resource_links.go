package models

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// ResourceLink is where the resources of an entity type are found outside of this app.
type ResourceLink struct {
	OrgID       int64
	EntityType  string
	URLTemplate string // an http or https address in which {id} stands for the entity ID
}

func (ResourceLink) TableName() string { return "audit_resource_links" }

// idPlaceholder stands for the entity ID in a URL template.
const idPlaceholder = "{id}"

// MaxURLTemplateLength is the size limit of a URL template, in bytes.
const MaxURLTemplateLength = 2048

// CheckURLTemplate returns a *fault.Field where template cannot lead to resources: it must
// be an http or https address with {id} in its path, query or fragment.
func CheckURLTemplate(template string) error {
	invalid := func(reason string) error {
		return &fault.Field{Field: "url_template", Code: fault.Invalid, Reason: reason}
	}
	if template == "" {
		return fault.Newf("url_template", fault.Required, "Enter an address, such as https://console.example.com/services/{id}.")
	}
	if len(template) > MaxURLTemplateLength {
		return fault.Newf("url_template", fault.TooLarge, "Use a shorter address, at most %d bytes.", MaxURLTemplateLength)
	}
	if !strings.Contains(template, idPlaceholder) {
		return invalid("Put {id} where the entity ID belongs.")
	}
	if strings.ContainsAny(strings.ReplaceAll(template, idPlaceholder, ""), "{}") {
		return invalid("{id} is the only placeholder.")
	}
	address, err := url.Parse(strings.ReplaceAll(template, idPlaceholder, "id"))
	if err != nil || strings.ContainsAny(template, " \\") || !utf8.ValidString(template) {
		return invalid("A browser can't open this address.")
	}
	if address.Scheme != "http" && address.Scheme != "https" {
		return invalid("Start with https:// or http://.")
	}
	switch origin := template[:originLength(template)]; {
	case address.Hostname() == "":
		return invalid("Include a host, as in https://console.example.com/services/{id}.")
	case address.User != nil:
		return invalid("Leave the user name and password out of the address.")
	case strings.Contains(origin, idPlaceholder):
		// An entity's ID would decide which site the link opens.
		return invalid("Put {id} after the host: in the path, the query or the fragment.")
	}
	return nil
}

// originLength is the length of the scheme and host a template begins with.
func originLength(template string) int {
	_, rest, found := strings.Cut(template, "://")
	if !found {
		return 0
	}
	begin := len(template) - len(rest)
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		return begin + end
	}
	return len(template)
}

// expandURLTemplate puts an entity ID into a template, escaped for the place it stands in. It
// returns "" where the ID would change what the path means, as ".." does.
func expandURLTemplate(template, id string) string {
	if CheckURLTemplate(template) != nil {
		return ""
	}
	head, fragment, hasFragment := strings.Cut(template, "#")
	head, query, hasQuery := strings.Cut(head, "?")

	pathBegin := originLength(head)
	path := strings.ReplaceAll(head[pathBegin:], idPlaceholder, url.PathEscape(id))
	for segment := range strings.SplitSeq(path, "/") {
		if unescaped, err := url.PathUnescape(segment); err != nil || unescaped == "." || unescaped == ".." {
			return ""
		}
	}
	expanded := head[:pathBegin] + path
	if hasQuery {
		expanded += "?" + strings.ReplaceAll(query, idPlaceholder, url.QueryEscape(id))
	}
	if hasFragment {
		expanded += "#" + strings.ReplaceAll(fragment, idPlaceholder, url.PathEscape(id))
	}
	return expanded
}

// ResourceLinks are the URL templates of an organization, by entity type.
type ResourceLinks map[string]string

// ResourceURL is where the resource of an entry is found: the event's own URL, or else the
// template of its entity type, or else "".
func ResourceURL(entry Entry, links ResourceLinks) string {
	if entry.URL != "" && event.WebAddressFault(entry.URL) == "" { // earlier versions took more
		return entry.URL
	}
	if template, ok := links[entry.EntityType]; ok && entry.EntityID != "" {
		return expandURLTemplate(template, entry.EntityID)
	}
	return ""
}

// ResourceLinks reads the URL templates of an organization.
func (s *Store) ResourceLinks(ctx context.Context, org Organization) (ResourceLinks, error) {
	var rows []ResourceLink
	if err := s.Reader(ctx).Where("org_id = ?", org.ID).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the resource links of %q: %w", org.Slug, err)
	}
	links := make(ResourceLinks, len(rows))
	for _, row := range rows {
		links[row.EntityType] = row.URLTemplate
	}
	return links, nil
}

// SetResourceLink adds or changes the URL template of an entity type in the caller's transaction.
// It returns the template before, "" for none; where that is the same nothing was written. Errors:
// *fault.Field for the template, and those of LockOrganization.
func SetResourceLink(ctx context.Context, tx *gorm.DB, orgID int64, entityType, template string) (before string, err error) {
	if err := CheckURLTemplate(template); err != nil {
		return "", err
	}
	before, err = LockResourceLink(ctx, tx, orgID, entityType)
	if err != nil || before == template {
		return before, err
	}
	err = tx.WithContext(ctx).
		Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "org_id"}, {Name: "entity_type"}},
			DoUpdates: clause.AssignmentColumns([]string{"url_template"}),
		}).
		Create(&ResourceLink{OrgID: orgID, EntityType: entityType, URLTemplate: template}).Error
	if err != nil {
		return before, fmt.Errorf("set the resource link of %s: %w", entityType, err)
	}
	return before, nil
}

// RemoveResourceLink removes the URL template of an entity type in the caller's transaction. It
// returns the template that was; "" where there was none. Errors: as LockOrganization.
func RemoveResourceLink(ctx context.Context, tx *gorm.DB, orgID int64, entityType string) (before string, err error) {
	before, err = LockResourceLink(ctx, tx, orgID, entityType)
	if err != nil || before == "" {
		return before, err
	}
	err = tx.WithContext(ctx).Where("org_id = ? AND entity_type = ?", orgID, entityType).Delete(&ResourceLink{}).Error
	if err != nil {
		return before, fmt.Errorf("remove the resource link of %s: %w", entityType, err)
	}
	return before, nil
}

// LockResourceLink reads a template, "" for none, under the organization's lock: until tx ends it stays
// what it is. Errors: as LockOrganization.
func LockResourceLink(ctx context.Context, tx *gorm.DB, orgID int64, entityType string) (string, error) {
	if _, err := LockOrganization(ctx, tx, orgID); err != nil {
		return "", err
	}
	var link ResourceLink
	err := tx.WithContext(ctx).Where("org_id = ? AND entity_type = ?", orgID, entityType).Limit(1).Find(&link).Error
	if err != nil {
		return "", fmt.Errorf("read the resource link of %s: %w", entityType, err)
	}
	return link.URLTemplate, nil
}
