package handlers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

// entityMember is the entity type of everything recorded about members.
const entityMember = "member"

const lastAdmin = "An organization needs at least one admin. Make somebody else an admin first."

// userIDGrammar is what models.CreateUser makes.
var userIDGrammar = regexp.MustCompile(`^usr_[a-z2-7]{26}$`)

// membersPage lists who belongs to the organization. What was made by the request (a link that is
// shown once) or refused stands above the list.
type membersPage struct {
	Frame       Frame
	Members     []models.Member
	Invitations []invitationView // that can still be used; for admins
	Form        Form             // of a new invitation
	Problem     string
	Notice      string // what the form sent before this page did
	Link        *shownLink
}

// shownLink is a link that is shown this once: only its hash is kept.
type shownLink struct {
	URL     string
	Purpose string
	Expires models.Micros
}

type invitationView struct {
	models.Invitation
	InvitedByName string
}

// CanSet says that the reader may change who belongs to the organization.
func (p membersPage) CanSet() bool { return p.Frame.Admin() && !p.Frame.Organization.Closed() }

// Path is the address below which forms change members.
func (p membersPage) Path() string { return p.Frame.SettingsPath("members") }

// IsReader says that the member is the one who reads the page.
func (p membersPage) IsReader(m models.Member) bool { return m.UserID == p.Frame.User.ID }

// Members answers GET /orgs/:slug/settings/members.
func (h *Handlers) Members(c *fiber.Ctx) error {
	return h.renderMembers(c, fiber.StatusOK, membersPage{})
}

func (h *Handlers) renderMembers(c *fiber.Ctx, status int, page membersPage) error {
	ctx := contextOf(c)
	page.Frame = h.frame(c, "Members", "members")
	page.Notice = takeNotice(c)
	var err error
	if page.Members, err = h.Store.Members(ctx, page.Frame.Organization.ID); err != nil {
		return err
	}
	if page.CanSet() {
		open, err := h.Store.OpenInvitations(ctx, page.Frame.Organization.ID)
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
	}
	return h.render(c, status, "members/page", page)
}

// ChangeRole answers POST /orgs/:slug/settings/members/:user/role with `role`.
func (h *Handlers) ChangeRole(c *fiber.Ctx) error {
	if err := adminOnly(c); err != nil {
		return err
	}
	role := models.Role(posted(c, "role"))
	if !role.Valid() {
		return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{Problem: "Choose admin or member as the role."})
	}
	return h.changeMember(c, h.asAdmin, func(ctx context.Context, tx *gorm.DB, userID string) (notice string, err error) {
		organization := scopeOf(c).Organization
		before, err := models.ChangeRole(ctx, tx, organization.ID, userID, role)
		if err != nil {
			return "", err
		}
		if before.Role == role {
			return fmt.Sprintf("Nothing to save: %s is %s already.", before.Name, role.WithArticle()), nil
		}
		_, err = audit.Record(ctx, tx, audit.Event{
			Organization: organization.Slug,
			Action:       audit.MemberRoleUpdate,
			EntityID:     before.UserID,
			EntityName:   before.Name,
			Metadata: map[string]any{
				"changes": map[string]audit.Change{"role": {Before: before.Role, After: role}},
			},
		})
		return fmt.Sprintf("Saved. %s is now %s.", before.Name, role.WithArticle()), err
	})
}

// removePage asks before somebody loses access.
type removePage struct {
	Frame  Frame
	Member models.Member
	Leave  bool // the reader removes themself
}

// RemoveMember answers POST /orgs/:slug/settings/members/:user/remove. Without `confirm=yes` it
// changes nothing and asks. Everybody may remove themself, that is leave; admins anybody.
func (h *Handlers) RemoveMember(c *fiber.Ctx) error {
	scope, userID := scopeOf(c), c.Params("user")
	leaving := userID == scope.User.ID
	if !leaving {
		if err := adminOnly(c); err != nil {
			return err
		}
	}
	if posted(c, "confirm") != "yes" {
		return h.askToRemove(c, userID, leaving)
	}
	within := h.asAdmin
	if leaving {
		within = h.inTransaction
	}
	return h.changeMember(c, within, func(ctx context.Context, tx *gorm.DB, userID string) (notice string, err error) {
		before, err := models.RemoveMember(ctx, tx, scope.Organization.ID, userID)
		if err != nil {
			return "", err
		}
		_, err = audit.Record(ctx, tx, audit.Event{
			Organization: scope.Organization.Slug,
			Action:       audit.MemberRemove,
			EntityID:     before.UserID,
			EntityName:   before.Name,
			Metadata:     map[string]any{"role": before.Role, "left": leaving},
		})
		return fmt.Sprintf("%s was removed and can no longer read this log.", before.Name), err
	})
}

func (h *Handlers) askToRemove(c *fiber.Ctx, userID string, leaving bool) error {
	member, err := h.member(c, userID)
	if err != nil {
		return err
	}
	title := "Remove " + member.Name
	if leaving {
		title = "Leave " + scopeOf(c).Organization.Name
	}
	page := removePage{Frame: h.frame(c, title, "members"), Member: member, Leave: leaving}
	return h.render(c, fiber.StatusOK, "members/remove", page)
}

// member finds a member of the organization, or ErrNotFound.
func (h *Handlers) member(c *fiber.Ctx, userID string) (models.Member, error) {
	members, err := h.Store.Members(contextOf(c), scopeOf(c).Organization.ID)
	if err != nil {
		return models.Member{}, err
	}
	for _, member := range members {
		if member.UserID == userID {
			return member, nil
		}
	}
	return models.Member{}, models.ErrNotFound
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
	if err != nil {
		return err
	}
	if userID == scope.User.ID {
		access, err := h.Store.AccessOf(contextOf(c), userID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(access, func(a models.Access) bool { return a.ID == scope.Organization.ID }) {
			return redirect(c, "/")
		}
	}
	return h.toMembers(c, notice)
}
