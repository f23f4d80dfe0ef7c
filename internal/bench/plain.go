package main

import (
	"cmp"
	"context"
	"maps"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// plain answers a question as most products do, through GORM, and says how long that took: the median of
// as many times as plainPatience allows, at least one.
func (f *floors) plain(ctx context.Context, q benchdata.Question) (time.Duration, error) {
	ask, err := f.plainWay(ctx, q)
	if err != nil {
		return 0, err
	}
	var took []time.Duration
	for began := time.Now(); len(took) == 0 || time.Since(began) < plainPatience && len(took) < timesAsked; {
		asking := time.Now()
		if err := ask(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(asking))
	}
	return timesOf(took).p50, nil
}

func (f *floors) plainWay(ctx context.Context, question benchdata.Question) (func() error, error) {
	ofOrganization := func() *gorm.DB {
		return f.log.Read.WithContext(ctx).Table("audit_entries").Where("org_id = ?", f.org.ID)
	}
	switch question.Name {
	case benchdata.ActionMenu:
		return func() error {
			var kinds []entries.Kind
			return ofOrganization().Distinct("entity_type", "action").Find(&kinds).Error
		}, nil
	case benchdata.ActorMenu:
		return func() error {
			var actors []struct{ ActorID, ActorName string }
			return ofOrganization().Select("actor_id, actor_name, MAX(occurred_at) AS latest").Group("actor_id, actor_name").
				Order("latest DESC").Limit(20).Find(&actors).Error
		}, nil
	case benchdata.ActorNames:
		return func() error {
			var actors []struct{ ActorID, ActorName string }
			return ofOrganization().Select("actor_id, actor_name, MAX(occurred_at) AS latest").Where("actor_id IN ?", benchdata.NamedActors).
				Group("actor_id, actor_name").Find(&actors).Error
		}, nil
	case benchdata.CappedCount:
		return func() error {
			var total int64
			return ofOrganization().Count(&total).Error
		}, nil
	}
	q := question.Query
	filtered := func() *gorm.DB {
		db := ofOrganization()
		if len(q.Actions) == 1 && strings.HasSuffix(q.Actions[0], "*") {
			db = db.Where("action LIKE ?", strings.TrimSuffix(q.Actions[0], "*")+"%")
		} else if len(q.Actions) > 0 {
			db = db.Where("action IN ?", q.Actions)
		}
		if len(q.Actors) > 0 {
			db = db.Where("actor_id IN ?", q.Actors)
		}
		if q.EntityID != "" {
			db = db.Where("entity_type = ? AND entity_id = ?", q.EntityType, q.EntityID)
		}
		if q.From != 0 {
			db = db.Where("occurred_at >= ?", q.From)
		}
		if q.To != 0 {
			db = db.Where("occurred_at < ?", q.To)
		}
		for column, value := range provenanceOf(q) {
			db = db.Where(column+" = ?", value)
		}
		for _, word := range strings.Fields(q.Search) {
			like, pattern := "LIKE", "%"+word+"%"
			if f.postgres != nil {
				like = "ILIKE"
			}
			db = db.Where("entity_id "+like+" ? OR entity_name "+like+" ? OR action "+like+" ?", pattern, pattern, pattern)
		}
		return db
	}
	if question.Counts {
		return func() error {
			var hours []struct{ Hour, Number int64 }
			return filtered().Select("occurred_at / 3600000000 AS hour, COUNT(*) AS number").Group("hour").Find(&hours).Error
		}, nil
	}
	if by := cmp.Or(map[counts.Facet]string{counts.FacetActor: "actor_id"}[question.Facet], string(question.Facet)); by != "" {
		return func() error {
			var values []struct {
				Value  string
				Number int64
			}
			return filtered().Select(by + " AS value, COUNT(*) AS number").Group(by).Find(&values).Error
		}, nil
	}
	column := map[entries.Sort]string{entries.SortAction: "action", entries.SortEntityType: "entity_type", entries.SortUser: "actor_key"}[q.Sort]
	offset, err := f.offset(filtered(), q, column)
	if err != nil {
		return nil, err
	}
	return func() error {
		db := filtered()
		switch {
		case column == "" && q.Ascending:
			db = db.Order("id")
		case column == "":
			db = db.Order("id DESC")
		case q.Ascending:
			db = db.Order(column).Order("id DESC")
		default:
			db = db.Order(column + " DESC").Order("id DESC")
		}
		var entries []models.Entry
		return db.Offset(offset).Limit(benchdata.PageSize + 1).Find(&entries).Error
	}, nil
}

// offset is how many entries come before the page.
func (f *floors) offset(db *gorm.DB, q entries.Query, column string) (int, error) {
	if q.Cursor == nil {
		return 0, nil
	}
	beyond := map[bool]string{true: "<", false: ">"}[q.Ascending]
	if column == "" {
		db = db.Where("id "+beyond+" ?", q.Cursor.ID)
	} else {
		db = db.Where(column+" "+beyond+" ? OR "+column+" = ? AND id > ?", q.Cursor.Value, q.Cursor.Value, q.Cursor.ID)
	}
	var before int64
	err := db.Count(&before).Error
	return int(before), err
}

// provenanceOf is the filters of a question by where events were sent from: their values by column.
func provenanceOf(q entries.Query) map[string]string {
	values := map[string]string{"ip": q.IP, "request_id": q.RequestID, "api_key_id": q.APIKey, "source": q.Source}
	maps.DeleteFunc(values, func(_, value string) bool { return value == "" })
	return values
}
