package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// viewsPage is where views are saved, changed and removed.
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
	if view.Query, err = h.savedQuery(c, input.Query); err != nil {
		return err
	}
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

// savedQuery is the query of a log's address as a view keeps it.
func (h *Handlers) savedQuery(c *fiber.Ctx, text string) (string, error) {
	switch {
	case text == "":
		return "", badParameter("query", fault.Required, "is missing; view=%s is all entries", everything)
	case len(text) > maxAddress:
		return "", badParameter("query", fault.TooLarge, "is longer than %d bytes", maxAddress)
	}
	filter, err := h.reading(c, nil).Filter(text)
	if err != nil {
		return "", fmt.Errorf("query of a view: %w", err)
	}
	return filter.Saved(), entries.Allowed(scopeOf(c).Organization, filter.Query())
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
		return recordView(ctx, tx, scopeOf(c).Organization, action.AuditViewUpdate, view, changed("name", view.Name, name))
	})
	if form.RefuseError(err, nil) {
		return h.renderViews(c, fiber.StatusUnprocessableEntity, &viewsPage{changed: listedRow{
			listedView: listedView{View: view}, Form: form, Loaded: opened.or(view.Name),
		}})
	}
	return h.answerView(c, err, view, form, "Save again to replace it.", fmt.Sprintf("Saved. The view is called %s now.", name))
}

// ReplaceView handles POST /orgs/:slug/settings/audit-logs/views/:view/query with `query`, as CreateView has it, `loaded_query` and
// `loaded_name`: the view asks for something else from now on.
func (h *Handlers) ReplaceView(c *fiber.Ctx) error {
	query, err := h.savedQuery(c, posted(c, "query"))
	if err != nil {
		return err
	}
	org := scopeOf(c).Organization
	view, err := h.changeView(c, "", loaded(c, "name"), func(ctx context.Context, tx *gorm.DB, view accounts.View) error {
		if view.Query == query {
			return nil
		}
		if loaded(c, "query").conflicts(view.Query, query) {
			return conflictOver(ctx, tx, org.ID, accounts.SettingView(view.ID), "The address it asks for", "?"+view.Query)
		}
		if err := accounts.SetViewQuery(ctx, tx, view, query); err != nil {
			return err
		}
		return recordView(ctx, tx, org, action.AuditViewUpdate, view, changed("query", view.Query, query))
	})
	form := Form{Values: map[string]string{"name": view.Name}}
	return h.answerView(c, err, view, form, "Have it ask this again to replace that.", fmt.Sprintf("Saved. %s asks for this now.", view.Name))
}

// changed is what is recorded of one field of a view.
func changed(field, before, after string) map[string]any {
	return map[string]any{"changes": map[string]audit.Change{field: {Before: before, After: after}}, "changed_fields": []string{field}}
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
			Query:    posted(c, "query"),
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
