package handlers

import (
	"context"
	"fmt"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

type inviteForm struct {
	Email string `form:"email" validate:"omitempty,email_address"`
	Role  string `form:"role" validate:"oneof=member admin"`
}

// Invite answers POST /orgs/:slug/settings/members/invitations with `role` and, as a note, `email`:
// it shows the link of a new invitation, once.
func (h *Handlers) Invite(c *fiber.Ctx) error {
	if err := adminOnly(c); err != nil {
		return err
	}
	var input inviteForm
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	if !form.OK() {
		return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{Form: form})
	}
	scope := scopeOf(c)
	var link string
	var invitation models.Invitation
	err = h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		link, invitation, err = MakeInvitationLink(ctx, tx, h.BaseURL, scope.Organization, scope.User.ID, input.Email, models.Role(input.Role))
		return err
	})
	if err != nil {
		return err
	}
	purpose := fmt.Sprintf("Whoever uses this link first joins %s as %s.", scope.Organization.Name, invitation.Role.WithArticle())
	return h.renderMembers(c, fiber.StatusOK, membersPage{Link: &shownLink{URL: link, Purpose: purpose, Expires: invitation.ExpiresAt}})
}

// MakeInvitationLink makes a link with which somebody joins an organization, once, and records that
// it was made, by the actor of ctx. invitedBy is the ID of the user who makes it, empty for an
// operator; email is a note and may be empty. The link begins with baseURL. It asks for no
// permission: the caller has.
func MakeInvitationLink(ctx context.Context, tx *gorm.DB, baseURL string, org models.Organization, invitedBy, email string, role models.Role) (link string, invitation models.Invitation, err error) {
	token, invitation, err := models.CreateInvitation(ctx, tx, org.ID, invitedBy, email, role)
	if err != nil {
		return "", invitation, err
	}
	_, err = audit.Record(ctx, tx, audit.Event{
		Organization: org.Slug,
		Action:       audit.MemberInvite,
		EntityType:   entityMember,
		EntityID:     invitation.ID(),
		EntityName:   invitation.Email,
		Metadata: map[string]any{
			"role":       invitation.Role,
			"expires_at": invitation.ExpiresAt.Time(),
		},
	})
	return baseURL + "/invitations/" + token, invitation, err
}

// RevokeInvitation answers POST /orgs/:slug/settings/members/invitations/revoke with the
// invitation's `id`.
func (h *Handlers) RevokeInvitation(c *fiber.Ctx) error {
	if err := adminOnly(c); err != nil {
		return err
	}
	scope := scopeOf(c)
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) error {
		invitation, err := models.RevokeInvitation(ctx, tx, scope.Organization.ID, posted(c, "id"))
		if err != nil {
			return err
		}
		_, err = audit.Record(ctx, tx, audit.Event{
			Organization: scope.Organization.Slug,
			Action:       audit.MemberRemove,
			EntityType:   entityMember,
			EntityID:     invitation.ID(),
			EntityName:   invitation.Email,
			Metadata:     map[string]any{"role": invitation.Role, "invitation_revoked": true},
		})
		return err
	})
	if err != nil {
		return err
	}
	return h.toMembers(c, "The invitation was revoked: its link no longer works.")
}

// MemberResetLink answers POST /orgs/:slug/settings/members/:user/reset-link: it shows a link with
// which the member sets a new password, once.
//
// Whoever has the link has the account, so it takes an admin of every organization the account can
// read: an admin of one must not get into another that way.
func (h *Handlers) MemberResetLink(c *fiber.Ctx) error {
	if err := adminOnly(c); err != nil {
		return err
	}
	ctx, scope := contextOf(c), scopeOf(c)
	member, err := h.member(c, c.Params("user"))
	if err != nil {
		return err
	}
	access, err := h.Store.AccessOf(ctx, member.UserID)
	if err != nil {
		return err
	}
	for _, theirs := range access {
		if !scope.administers(theirs.ID) {
			return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{
				Problem: member.Name + " also belongs to an organization you are not an admin of. Only whoever runs this server can reset their password.",
			})
		}
	}
	user, err := h.Store.UserByID(ctx, member.UserID)
	if err != nil {
		return err
	}
	var link string
	err = h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		link, err = MakeResetLink(ctx, tx, h.BaseURL, access, user)
		return err
	})
	if err != nil {
		return err
	}
	return h.renderMembers(c, fiber.StatusOK, membersPage{Link: &shownLink{
		URL:     link,
		Purpose: fmt.Sprintf("With this link %s sets a new password, once.", member.Name),
		Expires: models.MicrosOf(h.Store.Now().Add(models.PasswordResetLifetime)),
	}})
}

// administers says that the reader is an admin of an organization.
func (s *Scope) administers(orgID int64) bool {
	for _, a := range s.access {
		if a.ID == orgID {
			return a.Role == models.RoleAdmin
		}
	}
	return false
}
