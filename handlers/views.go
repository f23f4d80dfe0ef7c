package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
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

// viewsPage is where views are saved, renamed and removed.
type viewsPage struct {
	Frame
	Log      string
	Base     string // scheme and host of links that are pasted elsewhere
	Groups   []viewGroup
	Notice   string
	Conflict *conflicts

	Query string   // to save; empty where nothing is
	Asks  []string // what it asks, in words
	Form  Form     // that saves it

	changed listedRow // the row whose form was refused
}

// viewGroup are the views of one owner.
type viewGroup struct {
	ID, Title, About string
	Rows             []listedRow
}

// listedRow is a view with the form that changes it.
type listedRow struct {
	listedView
	Asks   []string
	Form   Form
	Loaded string // its name when the form was loaded
	CanSet bool
}

// MaySet reports whether the reader may change their own views, and choose a default.
func (p *viewsPage) MaySet() bool { return !p.Organization.Closed() }

// AuditLogViews handles GET /orgs/:slug/settings/audit-logs/views: with the query of a log's address it offers to save that.
func (h *Handlers) AuditLogViews(c *fiber.Ctx) error {
	page := &viewsPage{Form: Form{Values: map[string]string{}}}
	page.Query = string(c.Request().URI().QueryString())
	return h.renderViews(c, fiber.StatusOK, page)
}

func (h *Handlers) renderViews(c *fiber.Ctx, status int, page *viewsPage) error {
	scope := scopeOf(c)
	page.Frame = h.frame(c, "Views", "audit-logs")
	page.Log, page.Base, page.Notice = settingsPath(scope.Organization, "audit-logs"), h.base(c), takeNotice(c)
	all, err := h.views(c)
	if err != nil {
		return err
	}
	page.Views = &viewList{Views: all, Path: viewsPath(scope.Organization)}
	filters := filtersOf(all)
	if page.Query != "" {
		asked, err := h.reading(c, nil).Filter(page.Query)
		if err != nil {
			return redirect(c, page.Log+"?"+page.Query) // which says what is wrong
		}
		if err := entries.Allowed(scope.Organization, asked.Query()); err != nil {
			return err
		}
		page.Query = cmp.Or(asked.Saved(), "view="+everything)
		filters = append(filters, asked)
	}
	say, err := h.sayer(c, filters)
	if err != nil {
		return err
	}
	if page.Query != "" {
		page.Asks = say(filters[len(filters)-1])
	}
	groups := []viewGroup{
		{ID: "own", Title: "Yours", About: "Only you see them."},
		{ID: "shared", Title: "Shared", About: "Everybody who reads this log sees them. Admins save, rename and remove them."},
		{ID: "built-in", Title: "Built in", About: "They come with Audit Logs."},
	}
	for _, view := range all {
		row := listedRow{listedView: view, Asks: say(view.filter), Loaded: view.Name, Form: Form{Values: map[string]string{"name": view.Name}}}
		group := &groups[0]
		switch {
		case view.BuiltIn:
			group = &groups[2]
		case view.Shared():
			group, row.CanSet = &groups[1], scope.Admin() && page.MaySet()
		default:
			row.CanSet = page.MaySet()
		}
		if page.changed.ID == view.ID {
			row.Form, row.Loaded = page.changed.Form, page.changed.Loaded
		}
		group.Rows = append(group.Rows, row)
	}
	page.Groups = slices.DeleteFunc(groups, func(g viewGroup) bool { return len(g.Rows) == 0 })
	return h.render(c, status, "views/page", page)
}

func filtersOf(views []listedView) (filters []Filter) {
	for _, view := range views {
		filters = append(filters, view.filter)
	}
	return filters
}

// sayer returns what says in words what some filters ask: users by their names.
func (h *Handlers) sayer(c *fiber.Ctx, filters []Filter) (say func(Filter) []string, err error) {
	scope := scopeOf(c)
	var ids []string
	for _, filter := range filters {
		ids = append(ids, filter.Actors...)
	}
	slices.Sort(ids)
	actors, err := h.actorsOf(contextOf(c), scope.Organization, slices.Compact(ids))
	return func(filter Filter) (said []string) {
		selected := slices.DeleteFunc(slices.Clone(actors), func(actor models.Actor) bool { return !slices.Contains(filter.Actors, actor.ID) })
		for _, chip := range chipsOf(&logPage{Frame: Frame{Scope: scope}, Filter: filter}, selected, "") {
			said = append(said, chip.Kind+" "+chip.Label)
		}
		if len(said) == 0 {
			said = append(said, "All entries")
		}
		if !filter.DefaultOrder() {
			said = append(said, (&logPage{Filter: filter}).orderInWords())
		}
		if filter.Columns != nil {
			var labels []string
			for _, column := range columnsOf(&logPage{Filter: filter}) {
				labels = append(labels, column.Label)
			}
			said = append(said, "columns "+strings.Join(labels, ", "))
		}
		return said
	}, err
}

// CreateView handles POST /orgs/:slug/settings/audit-logs/views with `name`, `query`, that of a log's address, `shared` = on or
// absent, and `default` = on or absent.
func (h *Handlers) CreateView(c *fiber.Ctx) error {
	var input struct {
		Name    string `form:"name"`
		Query   string `form:"query"`
		Shared  string `form:"shared"`
		Default string `form:"default"`
	}
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	scope := scopeOf(c)
	view := accounts.View{OrgID: scope.Organization.ID, OwnerID: scope.User.ID, Name: input.Name}
	if input.Shared != "" {
		view.OwnerID = ""
	}
	filter, err := h.reading(c, nil).Filter(input.Query)
	switch {
	case len(input.Query) > maxAddress:
		return badParameter("query", fault.TooLarge, "is longer than %d bytes", maxAddress)
	case err != nil:
		return fmt.Errorf("query of a view: %w", err)
	}
	if err := entries.Allowed(scope.Organization, filter.Query()); err != nil {
		return err
	}
	view.Query = filter.Saved()
	err = h.asMember(c, func(ctx context.Context, tx *gorm.DB, role accounts.Role) (err error) {
		if view.Shared() && role != accounts.RoleAdmin {
			return models.ErrNotAdmin
		}
		if view, err = accounts.CreateView(ctx, tx, view); err != nil {
			return err
		}
		if input.Default != "" {
			if err := accounts.SetDefaultView(ctx, tx, view.OrgID, scope.User.ID, view.ID); err != nil {
				return err
			}
		}
		return recordView(ctx, tx, scope.Organization, action.AuditViewCreate, view, map[string]any{"query": view.Query})
	})
	if form.RefuseError(err, nil) {
		return h.renderViews(c, fiber.StatusUnprocessableEntity, &viewsPage{Query: input.Query, Form: form})
	}
	if err != nil {
		return err
	}
	leaveNotice(c, fmt.Sprintf("Saved. %s stands beside the log.", view.Name))
	return redirect(c, viewsPath(scope.Organization))
}

// RenameView handles POST /orgs/:slug/settings/audit-logs/views/:view with `name` and `loaded_name`.
func (h *Handlers) RenameView(c *fiber.Ctx) error {
	var input struct {
		Name string `form:"name"`
	}
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	name, opened := input.Name, loaded(c, "name")
	view, err := h.changeView(c, name, opened, func(ctx context.Context, tx *gorm.DB, view accounts.View) error {
		if view.Name == name {
			return nil
		}
		if err := accounts.RenameView(ctx, tx, view, name); err != nil {
			return err
		}
		return recordView(ctx, tx, scopeOf(c).Organization, action.AuditViewUpdate, view, map[string]any{
			"changes": map[string]audit.Change{"name": {Before: view.Name, After: name}}, "changed_fields": []string{"name"},
		})
	})
	if form.RefuseError(err, nil) {
		return h.renderViews(c, fiber.StatusUnprocessableEntity, &viewsPage{changed: listedRow{
			listedView: listedView{View: view}, Form: form, Loaded: opened.or(view.Name),
		}})
	}
	return h.answerView(c, err, view, form, "Save again to replace it.", fmt.Sprintf("Saved. The view is called %s now.", name))
}

// RemoveView handles POST /orgs/:slug/settings/audit-logs/views/:view/remove with `loaded_name`.
func (h *Handlers) RemoveView(c *fiber.Ctx) error {
	view, err := h.changeView(c, "", loaded(c, "name"), func(ctx context.Context, tx *gorm.DB, view accounts.View) error {
		if err := accounts.RemoveView(ctx, tx, view); err != nil {
			return err
		}
		return recordView(ctx, tx, scopeOf(c).Organization, action.AuditViewDelete, view, map[string]any{"query": view.Query})
	})
	form := Form{Values: map[string]string{"name": view.Name}}
	return h.answerView(c, err, view, form, "Remove it again if it should go all the same.", fmt.Sprintf("Saved. %s was removed.", view.Name))
}

// changeView runs change of the view that the address names, unless somebody else has changed its name or removed it since the
// form was loaded. Shared views are the admins'. It returns the view as it was before.
func (h *Handlers) changeView(c *fiber.Ctx, name string, opened loadedValue, change func(context.Context, *gorm.DB, accounts.View) error) (view accounts.View, err error) {
	scope, id := scopeOf(c), c.Params("view")
	setting := accounts.SettingView(id)
	err = h.asMember(c, func(ctx context.Context, tx *gorm.DB, role accounts.Role) error {
		view, err = accounts.LockView(ctx, tx, scope.Organization.ID, scope.User.ID, id)
		if errors.Is(err, models.ErrNotFound) && role == accounts.RoleAdmin {
			by, failed := accounts.LastChangeOf(ctx, tx, scope.Organization.ID, setting)
			if failed != nil {
				return failed
			}
			if by.ChangedAt != 0 {
				return &conflictError{[]conflict{{What: "The view " + opened.value, By: by}}}
			}
		}
		if err != nil {
			return err
		}
		if view.Shared() && role != accounts.RoleAdmin {
			return models.ErrNotAdmin
		}
		if opened.conflicts(view.Name, name) {
			return conflictOver(ctx, tx, scope.Organization.ID, setting, "The name", view.Name)
		}
		return change(ctx, tx, view)
	})
	return view, err
}

// answerView responds after a view was changed: err is what became of that.
func (h *Handlers) answerView(c *fiber.Ctx, err error, view accounts.View, form Form, again, done string) error {
	var conflict *conflictError
	if errors.As(err, &conflict) {
		if view.ID == "" {
			again = ""
		}
		return h.renderViews(c, fiber.StatusConflict, &viewsPage{
			Conflict: conflict.shown(again, scopeOf(c).Location),
			changed:  listedRow{listedView: listedView{View: view}, Form: form, Loaded: view.Name},
		})
	}
	if err != nil {
		return err
	}
	leaveNotice(c, done)
	return redirect(c, viewsPath(scopeOf(c).Organization))
}

// SetDefaultView handles POST /orgs/:slug/settings/audit-logs/views/default with `view`, an ID, or empty for none.
func (h *Handlers) SetDefaultView(c *fiber.Ctx) error {
	id, scope := strings.TrimSpace(posted(c, "view")), scopeOf(c)
	all, err := h.views(c)
	if err != nil {
		return err
	}
	notice := "Saved. The log begins with all entries."
	if id != "" {
		i := slices.IndexFunc(all, func(v listedView) bool { return v.ID == id })
		if i < 0 {
			return models.ErrNotFound
		}
		notice = fmt.Sprintf("Saved. The log begins with %s.", all[i].Name)
	}
	err = h.asMember(c, func(ctx context.Context, tx *gorm.DB, _ accounts.Role) error {
		return accounts.SetDefaultView(ctx, tx, scope.Organization.ID, scope.User.ID, id)
	})
	if err != nil {
		return err
	}
	leaveNotice(c, notice)
	return redirect(c, viewsPath(scope.Organization))
}

// recordView keeps and records what was done with a shared view. One's own are nobody else's business.
func recordView(ctx context.Context, tx *gorm.DB, org models.Organization, act action.Action, view accounts.View, facts map[string]any) error {
	if !view.Shared() {
		return nil
	}
	if err := noteChange(ctx, tx, org.ID, accounts.SettingView(view.ID)); err != nil {
		return err
	}
	_, err := audit.Record(ctx, tx, audit.Event{Organization: org.Slug, Action: act, EntityID: view.ID, EntityName: view.Name, Metadata: facts})
	return err
}
