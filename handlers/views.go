package handlers

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// builtInViews come with the product, for a reader in a zone. Their queries are canonical.
func builtInViews(zone *time.Location) []accounts.View {
	officeHours, _ := entries.ParseHours("mon-fri/8-18", zone)
	unusual := wholeLog(zone).
		WithTerm(entries.Term{Field: entries.FieldBy, Values: []string{string(audit.ActorUser)}}).
		WithTerm(entries.Term{Field: entries.FieldHours, Values: []string{officeHours.String()}, Not: true})
	return []accounts.View{
		{ID: "deletions", Name: "Deletions", Query: "q=action:*:*delete*,*:*destroy*,*:*remove*,*:*revoke*,*:*terminate*"},
		{ID: "failed", Name: "Failed and denied", Query: "outcome=failure&outcome=denied"},
		{ID: "office-hours", Name: "Outside of office hours", Query: unusual.Saved()},
		{ID: "agents", Name: "By agents", Query: "q=by:agent"},
		{ID: "settings", Name: "Settings and access", Query: "q=action:access:*,api_key:*,audit_log:*,audit_view:*,github_installation:*,member:*,organization:*,role:*,slack:*,user:password_*"},
	}
}

// listedView is a view as it is listed.
type listedView struct {
	accounts.View
	BuiltIn bool
	Address string // of the entries
	Current bool   // they are what is shown
	Default bool   // the log begins with them for the reader

	filter Filter
}

// viewList is what stands beside the log.
type viewList struct {
	Views       []listedView
	Path        string // the address of the page with all of them
	Save        string // that of the form that saves what is shown
	All         string // where the reader has a default view, the address of all entries
	AllCurrent  bool
	DefaultName string // of the default view, where it is what is shown
}

// viewsPath is the address below which an organization's views are.
func viewsPath(org models.Organization) string { return settingsPath(org, "audit-logs/views") }

// views lists the views that the reader may ask: those that come with the product, then shared ones and their own, by name.
func (h *Handlers) views(c *fiber.Ctx) (all []listedView, err error) {
	scope := scopeOf(c)
	stored, err := h.Accounts.Views(contextOf(c), scope.Organization.ID, scope.User.ID)
	if err != nil {
		return nil, err
	}
	reading, log := h.reading(c, []entries.Kind{}), settingsPath(scope.Organization, "audit-logs")
	builtIn := builtInViews(scope.Location)
	for i, view := range slices.Concat(builtIn, stored) {
		filter, err := reading.Filter(view.Query)
		if err != nil || entries.Allowed(scope.Organization, filter.Query()) != nil {
			continue // its own address says why
		}
		all = append(all, listedView{
			View: view, BuiltIn: i < len(builtIn), Address: filter.Address(log), Default: view.ID == scope.DefaultView, filter: filter,
		})
	}
	return all, nil
}

// viewsBeside lists the views for the side of the log, which shows what filter lets through.
func (h *Handlers) viewsBeside(c *fiber.Ctx, filter Filter) (*viewList, error) {
	all, err := h.views(c)
	if err != nil {
		return nil, err
	}
	org := scopeOf(c).Organization
	log, saved := settingsPath(org, "audit-logs"), filter.Saved()
	list := &viewList{Views: all, Path: viewsPath(org), Save: viewsPath(org) + "?" + cmp.Or(saved, "view="+everything)}
	for i := range all {
		view := &all[i]
		view.Current = view.filter.Saved() == saved
		if view.Default {
			list.All, list.AllCurrent = log+"?view="+everything, saved == ""
		}
		if view.Default && view.Current {
			list.DefaultName = view.Name
		}
	}
	return list, nil
}

// defaultAddress is the address that the log begins with for the reader; empty for that without a parameter.
func (h *Handlers) defaultAddress(c *fiber.Ctx) (string, error) {
	all, err := h.views(c)
	i := slices.IndexFunc(all, func(v listedView) bool { return v.Default && v.Query != "" })
	if err != nil || i < 0 {
		return "", err
	}
	return all[i].Address, nil
}

// ShowView handles GET /orgs/:slug/settings/audit-logs/views/:view: it leads to the entries.
func (h *Handlers) ShowView(c *fiber.Ctx) error {
	scope, id := scopeOf(c), c.Params("view")
	stored, err := h.Accounts.Views(contextOf(c), scope.Organization.ID, scope.User.ID)
	if err != nil {
		return err
	}
	all := slices.Concat(builtInViews(scope.Location), stored)
	i := slices.IndexFunc(all, func(v accounts.View) bool { return v.ID == id })
	if i < 0 {
		return fmt.Errorf("view: %w", models.ErrNotFound)
	}
	return redirect(c, settingsPath(scope.Organization, "audit-logs")+"?"+cmp.Or(all[i].Query, "view="+everything))
}
