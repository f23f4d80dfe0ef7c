package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/views"
)

// quickChoices are the retention periods offered with one click, in days.
var quickChoices = []int{7, 30, 90, 180, 365}

// countedEntries is how many entries a question counts; more are "10,000+".
const countedEntries = 10_000

// historyShown is how many changes of the settings the page lists before "Show all".
const historyShown = 10

// historyLimit is how many it lists at most.
const historyLimit = 1000

// auditSection is the Audit Log Configuration.
type auditSection struct {
	Days     string // as typed
	Enabled  bool   // as ticked
	Loaded   loadedSettings
	Conflict *conflicts
	Error    string // what is wrong with Days
	Meaning  string // what Days means in a date
	Saved    []string
	Question *auditQuestion // to be answered before anything is saved
	Pending  *pendingRetention
	// Cancelled reports whether the section comes back after a question: it takes the focus.
	Cancelled bool

	QuickChoices []int
	OffSince     models.Micros
	Cleanup      models.CleanupStatus
	History      []models.SettingsChange
	MoreHistory  bool

	typed bool // Days and Enabled come from the form
}

// loadedSettings is what the form says that it was loaded with.
type loadedSettings struct{ Days, Enabled string }

// loadedWith is what a form says that it was loaded with once settings are stored.
func loadedWith(stored models.AuditSettings) loadedSettings {
	return loadedSettings{strconv.Itoa(stored.RetentionDays), onOrOff(stored.LoggingEnabled)}
}

func onOrOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// auditQuestion is what an admin confirms before entries, or the recording of new ones, are lost.
type auditQuestion struct {
	From    models.AuditSettings // in force
	Chosen  models.AuditSettings // what an admin chose last
	To      models.AuditSettings
	Entries string // how many expire by it: "412 entries", "10,000+ entries", empty for none
	Before  models.Micros
	Effect  models.Micros // when a shorter retention is in force; zero: at once
}

// Lowers reports whether a shorter retention is asked for, and not only kept as it was chosen before.
func (q auditQuestion) Lowers() bool {
	return q.To.RetentionDays < q.From.RetentionDays && q.To.RetentionDays != q.Chosen.RetentionDays
}

// SwitchesOff reports whether nothing would be recorded any more.
func (q auditQuestion) SwitchesOff() bool { return q.From.LoggingEnabled && !q.To.LoggingEnabled }

// fillAudit completes the section: what is in force where nothing was typed, and its history.
func (h *Handlers) fillAudit(c *fiber.Ctx, page *organizationPage) error {
	ctx, org, section := contextOf(c), page.Organization, &page.Audit
	if stored := loadedWith(org.ChosenSettings()); section.Loaded == (loadedSettings{}) {
		section.Loaded = loadedSettings{loaded(c, "retention_days").or(stored.Days), loaded(c, "enabled").or(stored.Enabled)}
	}
	if !section.typed {
		// What was chosen, so that saving the switch alone neither undoes a lowered retention nor
		// begins its grace anew.
		section.Days, section.Enabled = strconv.Itoa(org.ChosenSettings().RetentionDays), org.LoggingEnabled
		if days := c.Query("days"); days != "" && page.MaySet() {
			section.Days = strings.TrimSpace(days)
			// A request out of the form brings the switch as it is ticked there.
			if c.Context().QueryArgs().Has("retention_days") {
				section.Enabled = c.Query("enabled") == "on"
			}
		}
	}
	section.QuickChoices = quickChoices
	section.Meaning = h.retentionMeaning(section.Days, org, page.Location)

	var err error
	if section.Pending, err = h.pendingRetention(ctx, page.Frame); err != nil {
		return err
	}
	if section.OffSince, err = h.Store.OffSince(ctx, org); err != nil {
		return err
	}
	if section.Cleanup, err = h.Store.CleanupStatus(ctx, org); err != nil {
		return err
	}
	limit := historyShown
	if c.Query("history") == "all" {
		limit = historyLimit
	}
	history, err := h.Store.SettingsHistory(ctx, org, limit+1)
	if err != nil {
		return err
	}
	section.MoreHistory = len(history) > limit
	section.History = history[:min(len(history), limit)]
	return nil
}

// answerAuditSection responds with the section alone where htmx asks, otherwise with the page.
func (h *Handlers) answerAuditSection(c *fiber.Ctx, status int, page organizationPage) error {
	if !wantsFragment(c) {
		return h.answerOrganizationPage(c, status, page)
	}
	if err := h.fillAudit(c, &page); err != nil {
		return err
	}
	return h.render(c, status, "organization/audit", page)
}

// AuditSettings handles GET /orgs/{slug}/settings/audit: what `retention_days` would mean, while it
// is typed. As a page there is only Settings → Organization.
func (h *Handlers) AuditSettings(c *fiber.Ctx) error {
	if !wantsFragment(c) {
		return redirect(c, settingsPath(scopeOf(c).Organization, "organization"))
	}
	page := h.newOrganizationPage(c)
	page.Audit.Meaning = h.retentionMeaning(c.Query("retention_days"), page.Organization, page.Location)
	return h.render(c, fiber.StatusOK, "organization/meaning", page)
}

// SaveAuditSettings handles POST /orgs/{slug}/settings/audit (`enabled` = on or absent,
// `retention_days`, `confirm`, `loaded_enabled` = on or off, `loaded_retention_days`). A shorter
// retention, and switching off, are asked about first: without `confirm=yes` nothing is changed.
func (h *Handlers) SaveAuditSettings(c *fiber.Ctx) error {
	page := h.newOrganizationPage(c)
	section := &page.Audit
	section.typed = true
	section.Days, section.Enabled = strings.TrimSpace(posted(c, "retention_days")), posted(c, "enabled") == "on"
	days, reason := parseRetention(section.Days)
	if reason != "" {
		section.Error = reason
		return h.answerAuditSection(c, fiber.StatusUnprocessableEntity, page)
	}

	to := models.AuditSettings{RetentionDays: days, LoggingEnabled: section.Enabled}
	before, after, err := h.changeAuditSettings(c, to, posted(c, "confirm") == "yes")
	var unconfirmed *unconfirmedError
	if errors.As(err, &unconfirmed) {
		return h.askAboutAuditSettings(c, page, unconfirmed.current, to)
	}
	var conflict *conflictError
	if errors.As(err, &conflict) {
		showOrganization(c, before)
		section.Loaded, section.Conflict = loadedWith(before.ChosenSettings()), conflict.shown("Save again to replace it.", page.Location)
		return h.answerAuditSection(c, fiber.StatusConflict, page)
	}
	if err != nil {
		return err
	}
	showOrganization(c, after)
	saved := savedSettings(before, after, page.Location)
	if !wantsFragment(c) {
		return h.toOrganizationSettings(c, strings.Join(saved, " "))
	}
	page.Audit = auditSection{Saved: saved, Loaded: loadedWith(after.ChosenSettings())}
	return h.answerAuditSection(c, fiber.StatusOK, page)
}

// unconfirmedError is a change that has to be asked about first.
type unconfirmedError struct{ current models.Organization }

func (*unconfirmedError) Error() string { return "the change has not been confirmed" }

// changeAuditSettings saves the settings and records that, together. Whether to ask is decided by
// what is in force at that very moment, and not by what the admin last saw.
func (h *Handlers) changeAuditSettings(c *fiber.Ctx, to models.AuditSettings, confirmed bool) (before, after models.Organization, err error) {
	orgID := scopeOf(c).Organization.ID
	err = h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) error {
		current, err := models.LockOrganization(ctx, tx, orgID)
		if err != nil {
			return err
		}
		now := h.Store.Now()
		current = current.InForce(now)
		if err := auditConflict(c, tx, current, to); err != nil {
			before = current
			return err
		}
		question := h.auditQuestion(current, to, now)
		if !confirmed && (question.Lowers() || question.SwitchesOff()) {
			return &unconfirmedError{current}
		}
		before, after, err = settings.Change(ctx, tx, orgID, to, h.RetentionGrace, now)
		return err
	})
	return before, after, err
}

// auditConflict returns a *conflictError where saving to would undo what somebody else has changed since
// the form was loaded. The caller holds the organization's lock.
func auditConflict(c *fiber.Ctx, tx *gorm.DB, current models.Organization, to models.AuditSettings) error {
	stored := current.ChosenSettings()
	is, typed := loadedWith(stored), loadedWith(to)
	retention := loaded(c, "retention_days").conflicts(is.Days, typed.Days)
	enabled := loaded(c, "enabled").conflicts(is.Enabled, typed.Enabled)
	if !retention && !enabled {
		return nil
	}
	history, err := models.SettingsHistory(contextOf(c), tx, current, historyLimit)
	if err != nil {
		return err
	}
	by := func(changes func(models.SettingsChange) bool) (last accounts.LastChange) {
		if i := slices.IndexFunc(history, changes); i >= 0 {
			line := history[i]
			last = accounts.LastChange{ChangedAt: line.ChangedAt, ActorID: line.ActorID, ActorName: line.ActorName, ActorEmail: line.ActorEmail}
		}
		return last
	}
	conflict := &conflictError{}
	if retention {
		kept := views.Count(stored.RetentionDays, "day", "days")
		if current.PendingFrom != 0 {
			kept += " from " + momentOf(current.PendingFrom.Time(), scopeOf(c).Location) + " on"
		}
		conflict.add("The retention period", kept, by(func(line models.SettingsChange) bool {
			return line.Old().RetentionDays != line.New().RetentionDays
		}))
	}
	if enabled {
		conflict.add("Audit logging", is.Enabled, by(func(line models.SettingsChange) bool {
			return line.OldLoggingEnabled != line.NewLoggingEnabled
		}))
	}
	return conflict
}

// UndoRetention handles POST /orgs/{slug}/settings/audit/undo: a lowered retention that is not in force
// yet never will be. It asks for no more than that, whatever was chosen in the meantime: nobody loses
// anything by it.
func (h *Handlers) UndoRetention(c *fiber.Ctx) error {
	var before, after models.Organization
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		before, after, err = settings.Undo(ctx, tx, scopeOf(c).Organization.ID, h.Store.Now())
		return err
	})
	if err != nil {
		return err
	}
	kept := views.Count(after.RetentionDays, "day", "days")
	if before == after {
		return h.toOrganizationSettings(c, fmt.Sprintf("Nothing to undo: no shorter retention is pending. Entries are kept for %s.", kept))
	}
	return h.toOrganizationSettings(c, fmt.Sprintf("Undone. Entries go on being kept for %s.", kept))
}

// pendingRetention is a lowered retention that is not in force yet, as shared/pending-retention shows it.
type pendingRetention struct {
	Days, InForce int
	From          models.Micros
	Chosen        models.SettingsChange // by whom and when
	Undo          string                // where its form goes; empty for those who may not
	Location      *time.Location
}

// pendingRetention finds out who lowered the retention; nil where nothing waits.
func (h *Handlers) pendingRetention(ctx context.Context, frame Frame) (*pendingRetention, error) {
	org := frame.Organization
	if org.PendingFrom == 0 {
		return nil, nil
	}
	chosen, err := h.Store.PendingChange(ctx, org)
	if err != nil {
		return nil, err
	}
	pending := &pendingRetention{
		Days: org.PendingRetentionDays, InForce: org.RetentionDays, From: org.PendingFrom, Chosen: chosen, Location: frame.Location,
	}
	if frame.Admin() {
		pending.Undo = frame.SettingsPath("audit") + "/undo"
	}
	return pending, nil
}

// auditQuestion is what would have to be confirmed of a change of current at now.
func (h *Handlers) auditQuestion(current models.Organization, to models.AuditSettings, now time.Time) auditQuestion {
	question := auditQuestion{From: current.AuditSettings(), Chosen: current.ChosenSettings(), To: to}
	effect := now.Add(h.RetentionGrace)
	question.Before = models.MicrosOf(effect.AddDate(0, 0, -to.RetentionDays))
	if h.RetentionGrace > 0 {
		question.Effect = models.MicrosOf(effect)
	}
	return question
}

// askAboutAuditSettings responds with the question: a page of its own, or in place of the form.
func (h *Handlers) askAboutAuditSettings(c *fiber.Ctx, page organizationPage, current models.Organization, to models.AuditSettings) error {
	question := h.auditQuestion(current, to, h.Store.Now())
	if question.Lowers() {
		n, err := h.Store.CountBefore(contextOf(c), current, question.Before, countedEntries+1)
		switch {
		case err != nil:
			return err
		case n > countedEntries:
			question.Entries = "10,000+ entries"
		case n > 0:
			question.Entries = views.Count(n, "entry", "entries")
		}
	}
	page.Audit.Question = &question
	stored := loadedWith(current.ChosenSettings())
	page.Audit.Loaded = loadedSettings{loaded(c, "retention_days").or(stored.Days), loaded(c, "enabled").or(stored.Enabled)}
	if wantsFragment(c) {
		return h.render(c, fiber.StatusOK, "organization/question", page)
	}
	return h.render(c, fiber.StatusOK, "organization/confirm", page)
}

// parseRetention reads a number of days, or returns what is wrong with it.
func parseRetention(typed string) (days int, reason string) {
	const bounds = "1 to 365"
	if typed == "" {
		return 0, "Enter a number of days, " + bounds + "."
	}
	if strings.Trim(strings.TrimPrefix(typed, "-"), "0123456789") != "" || typed == "-" {
		return 0, "Enter a whole number of days, " + bounds + "."
	}
	days, err := strconv.Atoi(typed)
	if err != nil || days < models.MinRetentionDays || days > models.MaxRetentionDays {
		return 0, "Choose " + bounds + " days."
	}
	return days, ""
}

// retentionMeaning returns what a retention period means in a date.
func (h *Handlers) retentionMeaning(typed string, org models.Organization, zone *time.Location) string {
	days, reason := parseRetention(strings.TrimSpace(typed))
	if reason != "" {
		return reason
	}
	now := h.Store.Now()
	cutoff, kept := now.AddDate(0, 0, -days), org.KeptSince(now).Time()
	if effect := org.WithRetention(days, h.RetentionGrace, now).PendingFrom; effect != 0 {
		return fmt.Sprintf("In force from %s on: entries before %s are deleted then.",
			momentOf(effect.Time(), zone), dateOf(effect.Time().AddDate(0, 0, -days), zone))
	}
	if cutoff.Before(kept.Add(-time.Minute)) {
		return fmt.Sprintf("Entries are kept for %s. Those before %s have expired already and stay deleted.",
			views.Count(days, "day", "days"), dateOf(kept, zone))
	}
	return fmt.Sprintf("Entries before %s are deleted.", dateOf(cutoff, zone))
}

// savedSettings returns what was changed, a sentence each.
func savedSettings(before, after models.Organization, zone *time.Location) []string {
	if before == after {
		return []string{"Nothing to save: these settings are already in force."}
	}
	said := []string{"Saved."}
	from, to := before.ChosenSettings().RetentionDays, after.ChosenSettings().RetentionDays
	if from != to {
		said = append(said, fmt.Sprintf("Retention period: %d → %s.", from, views.Count(to, "day", "days")))
	}
	if from != to && after.PendingFrom != 0 {
		said = append(said, fmt.Sprintf("It takes effect on %s. Until then every admin sees it and can undo it.", momentOf(after.PendingFrom.Time(), zone)))
	}
	switch {
	case before.LoggingEnabled && !after.LoggingEnabled:
		said = append(said, "Audit logging: on → off. What applications send is not recorded from now on.")
	case !before.LoggingEnabled && after.LoggingEnabled:
		said = append(said, "Audit logging: off → on.")
	}
	return said
}

func momentOf(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Jan 2, 2006, 15:04:05 MST")
}

func dateOf(t time.Time, zone *time.Location) string { return t.In(zone).Format("Jan 2, 2006") }
