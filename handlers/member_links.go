package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

type inviteForm struct {
	Email string `form:"email" validate:"omitempty,email_address"`
	Role  string `form:"role" validate:"oneof=member auditor admin"`
}

// Invite handles POST /orgs/:slug/settings/members/invitations with `role` and, where the invitation is
// for one address only, `email`: it shows the link of a new invitation, once.
func (h *Handlers) Invite(c *fiber.Ctx) error {
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
	var invitation accounts.Invitation
	err = h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		link, invitation, err = MakeInvitationLink(ctx, tx, h.BaseURL, scope.Organization, scope.User.ID, input.Email, accounts.Role(input.Role))
		return err
	})
	if form.RefuseError(err, nil) {
		return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{Form: form})
	}
	if err != nil {
		return err
	}
	purpose := fmt.Sprintf("The first person to use this link joins %s as %s.", scope.Organization.Name, invitation.Role.WithArticle())
	if invitation.Email != "" {
		purpose = fmt.Sprintf("With this link %s joins %s as %s.", invitation.Email, scope.Organization.Name, invitation.Role.WithArticle())
	}
	return h.renderMembers(c, fiber.StatusOK, membersPage{Link: &shownLink{URL: link, Purpose: purpose, Expires: invitation.ExpiresAt}})
}

// MakeInvitationLink makes a link with which somebody joins an organization, once, and records that
// it was made, by the actor of ctx. invitedBy is the ID of the user who makes it, empty for an
// operator; where email is not empty, nobody else can use the link. The link begins with baseURL. It asks for no
// permission: the caller has.
func MakeInvitationLink(ctx context.Context, tx *gorm.DB, baseURL string, org models.Organization, invitedBy, email string, role accounts.Role) (link string, invitation accounts.Invitation, err error) {
	token, invitation, err := accounts.CreateInvitation(ctx, tx, org.ID, invitedBy, email, role)
	if err != nil {
		return "", invitation, err
	}
	_, err = audit.Record(ctx, tx, audit.Event{
		Organization: org.Slug,
		Action:       action.MemberInvite,
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

// RevokeInvitation handles POST /orgs/:slug/settings/members/invitations/revoke with the
// invitation's `id`.
func (h *Handlers) RevokeInvitation(c *fiber.Ctx) error {
	scope := scopeOf(c)
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) error {
		invitation, err := accounts.RevokeInvitation(ctx, tx, scope.Organization.ID, posted(c, "id"))
		if err != nil {
			return err
		}
		_, err = audit.Record(ctx, tx, audit.Event{
			Organization: scope.Organization.Slug,
			Action:       action.MemberRemove,
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
	return h.toMembers(c, "The invitation was revoked. Its link no longer works.")
}

// MemberResetLink handles POST /orgs/:slug/settings/members/:user/reset-link: it shows a link with
// which the member sets a new password, once.
//
// Whoever has the link has the account, so it takes an admin of every organization the account can
// read: an admin of one must not get into another that way. Where the maker loses these rights, the
// link ends.
func (h *Handlers) MemberResetLink(c *fiber.Ctx) error {
	ctx, scope := contextOf(c), scopeOf(c)
	member, err := h.member(c, c.Params("user"))
	if err != nil {
		return err
	}
	access, err := h.Accounts.AccessOf(ctx, member.UserID)
	if err != nil {
		return err
	}
	user, err := h.Accounts.UserByID(ctx, member.UserID)
	if err != nil {
		return err
	}
	var link string
	err = h.inTransaction(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		link, err = makeResetLink(ctx, tx, h.BaseURL, scope.Organization.ID, *scope.User, access, user)
		return err
	})
	if errors.Is(err, models.ErrAdminElsewhere) {
		return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{
			Problem: member.Name + " also belongs to an organization you are not an admin of, so only the person who runs this server can reset their password.",
		})
	}
	if err != nil {
		return err
	}
	return h.renderMembers(c, fiber.StatusOK, membersPage{Link: &shownLink{
		URL:     link,
		Purpose: fmt.Sprintf("With this link, %s can set a new password, once.", member.Name),
		Expires: models.MicrosOf(h.Store.Now().Add(accounts.PasswordResetLifetime)),
	}})
}

// RevokeResetLink handles POST /orgs/:slug/settings/members/reset-links/revoke with the link's `id`.
func (h *Handlers) RevokeResetLink(c *fiber.Ctx) error {
	ctx, org, id := contextOf(c), scopeOf(c).Organization.ID, posted(c, "id")
	open, err := h.Accounts.OpenPasswordResets(ctx, org)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(open, func(reset accounts.PasswordReset) bool { return reset.ID() == id })
	if i < 0 {
		return fmt.Errorf("reset link: %w", models.ErrNotFound)
	}
	// Before the transaction: within it they would wait for another connection while it holds one.
	user, err := h.Accounts.UserByID(ctx, open[i].UserID)
	if err != nil {
		return err
	}
	access, err := h.Accounts.AccessOf(ctx, user.ID)
	if err != nil {
		return err
	}
	err = h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) error {
		reset, err := accounts.RevokePasswordReset(ctx, tx, org, id)
		if err != nil {
			return err
		}
		return recordOfUser(ctx, tx, access, user, audit.Event{
			Action:   action.UserPasswordResetLinkRevoke,
			Metadata: map[string]any{"reset_link": reset.ID()},
		})
	})
	if err != nil {
		return err
	}
	return h.toMembers(c, "The reset link was revoked: it no longer works.")
}
