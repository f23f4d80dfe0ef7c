package handlers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/views"
)

// entityMember is the entity type of everything recorded about members.
const entityMember = "member"

const lastAdmin = "An organization needs at least one admin. Make someone else an admin first."

// userIDGrammar is what accounts.CreateUser makes.
var userIDGrammar = regexp.MustCompile(`^usr_[a-z2-7]{26}$`)

// membersPage lists who belongs to the organization. What was made by the request (a link that is
// shown once) or refused stands above the list.
type membersPage struct {
	Frame       Frame
	Members     []accounts.Member
	Invitations []invitationView // that can still be used; for admins and auditors
	ResetLinks  []resetLinkView  // that can still be used; for admins and auditors
	Form        Form             // of a new invitation
	Problem     string
	Notice      string // what the form sent before this page did
	Link        *shownLink
	Conflict    *conflicts
	Typed       accounts.Member // whose role was not saved, with what was chosen

	Restrictions []restrictionView
}

// Chosen is the role a member's form shows.
func (p membersPage) Chosen(m accounts.Member) accounts.Role {
	if m.UserID == p.Typed.UserID {
		return p.Typed.Role
	}
	return m.Role
}

// shownLink is a link that is shown this once: only its hash is kept.
type shownLink struct {
	URL     string
	Purpose string
	Expires models.Micros
}

type invitationView struct {
	accounts.Invitation
	InvitedByName string
}

type resetLinkView struct {
	accounts.PasswordReset
	For        string // the member's name
	MadeByName string
}

// CanSet reports whether the reader may change who belongs to the organization.
func (p membersPage) CanSet() bool { return p.Frame.Admin() && !p.Frame.Organization.Closed() }

// Roles are those to choose from.
func (p membersPage) Roles() []accounts.Role { return accounts.Roles }

// Path is the address below which forms change members.
func (p membersPage) Path() string { return p.Frame.SettingsPath("members") }

// IsReader reports whether the member is the one who reads the page.
func (p membersPage) IsReader(m accounts.Member) bool { return m.UserID == p.Frame.User.ID }

// Members handles GET /orgs/:slug/settings/members.
func (h *Handlers) Members(c *fiber.Ctx) error {
	return h.renderMembers(c, fiber.StatusOK, membersPage{})
}

func (h *Handlers) renderMembers(c *fiber.Ctx, status int, page membersPage) error {
	ctx := contextOf(c)
	page.Frame = h.frame(c, "Members", "members")
	page.Notice = takeNotice(c)
	var err error
	if page.Members, err = h.Accounts.Members(ctx, page.Frame.Organization.ID); err != nil {
		return err
	}
	if err := h.fillRestrictions(ctx, &page); err != nil {
		return err
	}
	if page.Frame.Oversees() && !page.Frame.Organization.Closed() {
		open, err := h.Accounts.OpenInvitations(ctx, page.Frame.Organization.ID)
		if err != nil {
			return err
		}
		names := map[string]string{}
		for _, m := range page.Members {
			names[m.UserID] = m.Name
		}
		for _, invitation := range open {
			page.Invitations = append(page.Invitations, invitationView{invitation, names[invitation.InvitedBy]})
		}
		links, err := h.Accounts.OpenPasswordResets(ctx, page.Frame.Organization.ID)
		if err != nil {
			return err
		}
		for _, link := range links {
			page.ResetLinks = append(page.ResetLinks, resetLinkView{link, names[link.UserID], names[link.MadeBy]})
		}
	}
	return h.render(c, status, "members/page", page)
}

// ChangeRole handles POST /orgs/:slug/settings/members/:user/role with `role` and `loaded_role`.
func (h *Handlers) ChangeRole(c *fiber.Ctx) error {
	role := accounts.Role(posted(c, "role"))
	if !role.Valid() {
		return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{Problem: accounts.ChooseRole})
	}
	return h.changeMember(c, h.asAdmin, func(ctx context.Context, tx *gorm.DB, userID string) (notice string, err error) {
		organization := scopeOf(c).Organization
		if err := memberConflict(ctx, tx, organization.ID, userID, loaded(c, "role"), role); err != nil {
			return "", err
		}
		before, ended, err := accounts.ChangeRole(ctx, tx, organization.ID, userID, role)
		if err != nil {
			return "", err
		}
		if before.Role == role {
			return fmt.Sprintf("Nothing to save: %s is already %s.", before.Name, role.WithArticle()), nil
		}
		_, err = audit.Record(ctx, tx, audit.Event{
			Organization: organization.Slug,
			Action:       action.MemberRoleUpdate,
			EntityID:     before.UserID,
			EntityName:   before.Name,
			Metadata: withEndedLinks(map[string]any{
				"changes": map[string]audit.Change{"role": {Before: before.Role, After: role}},
			}, ended),
		})
		if err == nil {
			err = noteChange(ctx, tx, organization.ID, accounts.SettingRole(userID))
		}
		return fmt.Sprintf("Saved. %s is now %s.", before.Name, role.WithArticle()) + saidOfEnded(ended), err
	})
}

// memberConflict returns a *conflictError where a member has another role than the one a form was loaded
// with, and than the one it asks for, or is no member any more.
func memberConflict(ctx context.Context, tx *gorm.DB, orgID int64, userID string, opened loadedValue, role accounts.Role) error {
	if !opened.says {
		return nil
	}
	setting := accounts.SettingRole(userID)
	member, err := accounts.LockMember(ctx, tx, orgID, userID)
	switch {
	case errors.Is(err, models.ErrNotFound):
		if by, err := accounts.LastChangeOf(ctx, tx, orgID, setting); err != nil || by.ChangedAt == 0 {
			return errors.Join(models.ErrNotFound, err) // never a member, as far as is known
		}
		return conflictOver(ctx, tx, orgID, setting, "The member", "")
	case err != nil:
		return err
	case opened.conflicts(string(member.Role), string(role)):
		return conflictOver(ctx, tx, orgID, setting, "The role of "+member.Name, string(member.Role))
	}
	return nil
}

// withEndedLinks adds to an entry's metadata how many links ended with the rights of who had made them.
func withEndedLinks(facts map[string]any, ended accounts.EndedLinks) map[string]any {
	if ended.Any() {
		facts["ended_links"] = map[string]int{"invitations": ended.Invitations, "reset_links": ended.ResetLinks}
	}
	return facts
}

// saidOfEnded is how a notice goes on about links that ended.
func saidOfEnded(ended accounts.EndedLinks) string {
	var kinds []string
	if ended.Invitations > 0 {
		kinds = append(kinds, views.Count(ended.Invitations, "invitation", "invitations"))
	}
	if ended.ResetLinks > 0 {
		kinds = append(kinds, views.Count(ended.ResetLinks, "reset link", "reset links"))
	}
	if len(kinds) == 0 {
		return ""
	}
	return " " + strings.Join(kinds, " and ") + " they had made no longer work."
}

// removePage asks before somebody loses access.
type removePage struct {
	Frame    Frame
	Member   accounts.Member
	Leave    bool // the reader removes themself
	Conflict *conflicts
}

// RemoveMember handles POST /orgs/:slug/settings/members/:user/remove. Without `confirm=yes` it
// changes nothing and asks; `loaded_role` is the role that was shown with the question. Everybody may remove themself, that is leave; admins anybody.
func (h *Handlers) RemoveMember(c *fiber.Ctx) error {
	scope, userID := scopeOf(c), c.Params("user")
	leaving := userID == scope.User.ID
	if posted(c, "confirm") != "yes" {
		return h.askToRemove(c, fiber.StatusOK, userID, leaving, nil)
	}
	within := h.asAdmin
	if leaving {
		within = h.inTransaction
	}
	return h.changeMember(c, within, func(ctx context.Context, tx *gorm.DB, userID string) (notice string, err error) {
		if err := memberConflict(ctx, tx, scope.Organization.ID, userID, loaded(c, "role"), ""); err != nil {
			return "", err
		}
		before, ended, err := accounts.RemoveMember(ctx, tx, scope.Organization.ID, userID)
		if err != nil {
			return "", err
		}
		_, err = audit.Record(ctx, tx, audit.Event{
			Organization: scope.Organization.Slug,
			Action:       action.MemberRemove,
			EntityID:     before.UserID,
			EntityName:   before.Name,
			Metadata:     withEndedLinks(map[string]any{"role": before.Role, "left": leaving}, ended),
		})
		if err == nil {
			err = noteChange(ctx, tx, scope.Organization.ID, accounts.SettingRole(userID))
		}
		return fmt.Sprintf("%s was removed and can no longer read this log.", before.Name) + saidOfEnded(ended), err
	})
}

func (h *Handlers) askToRemove(c *fiber.Ctx, status int, userID string, leaving bool, changed *conflicts) error {
	member, err := h.member(c, userID)
	if err != nil {
		return err
	}
	title := "Remove " + member.Name
	if leaving {
		title = "Leave " + scopeOf(c).Organization.Name
	}
	page := removePage{Frame: h.frame(c, title, "members"), Member: member, Leave: leaving, Conflict: changed}
	return h.render(c, status, "members/remove", page)
}

// member finds a member of the organization, or ErrNotFound.
func (h *Handlers) member(c *fiber.Ctx, userID string) (accounts.Member, error) {
	members, err := h.Accounts.Members(contextOf(c), scopeOf(c).Organization.ID)
	if err != nil {
		return accounts.Member{}, err
	}
	for _, member := range members {
		if member.UserID == userID {
			return member, nil
		}
	}
	return accounts.Member{}, models.ErrNotFound
}

// toMembers answers a form that succeeded: 303 to the list, which says what was done.
func (h *Handlers) toMembers(c *fiber.Ctx, notice string) error {
	leaveNotice(c, notice)
	return redirect(c, settingsPath(scopeOf(c).Organization, "members"))
}

// changeMember runs a change of the member the address names, within asAdmin or inTransaction, and
// leads back to the list, which says what was done: to the front door for somebody who has just
// lost access to it.
func (h *Handlers) changeMember(
	c *fiber.Ctx,
	within func(*fiber.Ctx, func(context.Context, *gorm.DB) error) error,
	change func(ctx context.Context, tx *gorm.DB, userID string) (notice string, err error),
) error {
	scope, userID := scopeOf(c), c.Params("user")
	if !userIDGrammar.MatchString(userID) {
		return models.ErrNotFound
	}
	var notice string
	err := within(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		notice, err = change(ctx, tx, userID)
		return err
	})
	if errors.Is(err, models.ErrLastAdmin) {
		return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{Problem: lastAdmin})
	}
	var conflict *conflictError
	if errors.As(err, &conflict) {
		return h.answerMemberConflict(c, userID, conflict)
	}
	if err != nil {
		return err
	}
	if userID == scope.User.ID {
		access, err := h.Accounts.AccessOf(contextOf(c), userID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(access, func(a accounts.Access) bool { return a.ID == scope.Organization.ID }) {
			return redirect(c, "/")
		}
	}
	return h.toMembers(c, notice)
}

// answerMemberConflict shows the form that was not saved once more: the question, or the list with the
// role that was chosen.
func (h *Handlers) answerMemberConflict(c *fiber.Ctx, userID string, conflict *conflictError) error {
	zone := scopeOf(c).Location
	if _, err := h.member(c, userID); errors.Is(err, models.ErrNotFound) {
		return h.renderMembers(c, fiber.StatusConflict, membersPage{Conflict: conflict.shown("", zone)})
	}
	if posted(c, "confirm") == "yes" {
		return h.askToRemove(c, fiber.StatusConflict, userID, userID == scopeOf(c).User.ID,
			conflict.shown("Confirm again to go ahead anyway.", zone))
	}
	return h.renderMembers(c, fiber.StatusConflict, membersPage{
		Conflict: conflict.shown("Save again to replace it.", zone),
		Typed:    accounts.Member{UserID: userID, Role: accounts.Role(posted(c, "role"))},
	})
}
