package entries

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/models"
)

// An entry may have related resources besides its own. It is part of the history of each, and found by the ID and the
// name of each: they stand in audit_related, whose index has runs of the entries by resource.

// relatedTo is the condition that an entry has a related resource that fulfils one.
func relatedTo(fulfils condition) condition {
	return condition{"(SELECT true FROM audit_related AS related WHERE related.org_id = audit_entries.org_id" +
		" AND related.entry_id = audit_entries.id AND " + fulfils.sql + " LIMIT 1)", fulfils.args}
}

// resourceSets are the entries of resources, and those that they are related to.
func (p *plan) resourceSets(where condition, resources ...entityKey) []runSet {
	own, related := resourceRuns(byEntity, resources...), resourceRuns(byRelated, resources...)
	own.where, related.where = where, where
	return []runSet{own, related}
}

// askRelated finds out whether words may be those of related resources.
func (l *Log) askRelated(ctx context.Context, p *plan) error {
	if len(p.words) == 0 {
		return nil
	}
	err := l.LogReader(ctx).Raw("SELECT true FROM audit_related WHERE org_id = ? AND entry_id >= ? AND entry_id < ? LIMIT 1",
		p.org.ID, p.span.from, p.span.to).Scan(&p.related).Error
	if err != nil {
		return fmt.Errorf("look for related resources: %w", err)
	}
	return nil
}

// readRelated reads the related resources of entries whose own do not match the words.
func (w *walk) readRelated(ctx context.Context, found []groupedEntry) error {
	var of []int
	var with []models.Entry
	for i := range found {
		if e := &found[i]; e.Parts > 0 && !matchesAll(w.plan.words, e) {
			of, with = append(of, i), append(with, models.Entry{ID: e.ID, Parts: e.Parts})
		}
	}
	if len(of) == 0 {
		return nil
	}
	if err := models.ReadParts(ctx, w.log.LogReader(ctx), w.plan.org.ID, with); err != nil {
		return err
	}
	for n, i := range of {
		found[i].related = with[n].Related
	}
	return nil
}
