package entries

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/models"
)

// ResourceName is a name a resource had, and when it was last recorded under it.
type ResourceName struct {
	EntityName string
	LastSeen   models.Micros
}

// namesFromLatest is how many of a resource's entries are looked through for names: a resource
// that changes every minute must not make its page slow.
const namesFromLatest = 1000

// ResourceNames lists the names a resource had in its latest thousand visible entries, the one seen
// last first, at most limit.
func (l *Log) ResourceNames(ctx context.Context, org models.Organization, entityType, entityID string, limit int) ([]ResourceName, error) {
	var names []ResourceName
	err := l.LogReader(ctx).Raw(`SELECT entity_name, MAX(occurred_at) AS last_seen FROM (
	SELECT entity_name, occurred_at FROM audit_entries
	WHERE org_id = ? AND entity_type = ? AND entity_id = ? AND id >= ? ORDER BY id DESC LIMIT ?) AS latest
WHERE entity_name <> '' GROUP BY entity_name ORDER BY last_seen DESC, entity_name LIMIT ?`,
		org.ID, entityType, entityID, l.firstVisible(org), namesFromLatest, limit).Scan(&names).Error
	if err != nil {
		return nil, fmt.Errorf("list the names of %s %s in %s: %w", entityType, entityID, org.Slug, err)
	}
	return names, nil
}
