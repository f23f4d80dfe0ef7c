package handlers

import (
	"cmp"
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

type joinForm struct {
	Name     string `form:"name" validate:"shown_name"`
	Email    string `form:"email" validate:"required,email_address"`
	Password string `form:"password" validate:"new_password" secret:"true"`
}

type invitationPage struct {
	Frame      Frame
	Inviting   models.Organization
	Invitation accounts.Invitation
	Form       Form
	Stranger   bool   // somebody is signed in with another address than the invitation is for
	LoginPath  string // for people with an account: leads back here
}

// InvitationPage handles GET /invitations/:token.
func (h *Handlers) InvitationPage(c *fiber.Ctx) error {
	invitation, organization, err := h.Accounts.OpenInvitation(contextOf(c), c.Params("token"))
	if err != nil {
		return h.deadLink(c, err, "invitation")
	}
	if scopeOf(c).reads(organization.ID) {
		return redirect(c, settingsPath(organization, "audit-logs"))
	}
	return h.renderInvitation(c, fiber.StatusOK, invitation, organization, Form{})
}

// AcceptInvitation handles POST /invitations/:token: who is signed in joins, and everybody else
// makes an account with `name`, `email` and `password` and joins with that.
func (h *Handlers) AcceptInvitation(c *fiber.Ctx) error {
	ctx, scope, token := contextOf(c), scopeOf(c), c.Params("token")
	invitation, organization, err := h.Accounts.OpenInvitation(ctx, token)
	if err != nil {
		return h.deadLink(c, err, "invitation")
	}
	if scope.User != nil {
		if scope.reads(organization.ID) { // a member already: welcome
			return redirect(c, settingsPath(organization, "audit-logs"))
		}
		if !invitation.For(scope.User.Email) {
			return h.renderInvitation(c, fiber.StatusUnprocessableEntity, invitation, organization, Form{})
		}
		err = h.Store.Transaction(ctx, func(tx *gorm.DB) error {
			return join(ctx, tx, organization, token, *scope.User)
		})
		if err != nil && !errors.Is(err, models.ErrTaken) { // a member since a moment ago
			return h.deadLink(c, err, "invitation")
		}
		return redirect(c, settingsPath(organization, "audit-logs"))
	}

	var input joinForm
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	if !form.OK() {
		return h.renderInvitation(c, fiber.StatusUnprocessableEntity, invitation, organization, form)
	}
	if !invitation.For(input.Email) {
		form.Refuse("email", "This invitation is for "+invitation.Email+" only. Ask whoever sent it for one to your address.")
		return h.renderInvitation(c, fiber.StatusUnprocessableEntity, invitation, organization, form)
	}
	hash, err := passwords.Hash(ctx, input.Password, input.Name, input.Email)
	if form.RefuseError(err, nil) {
		return h.renderInvitation(c, fiber.StatusUnprocessableEntity, invitation, organization, form)
	}
	if err != nil {
		return err
	}
	known := false
	err = h.startSession(ctx, c, func(tx *gorm.DB) (accounts.User, error) {
		user, err := accounts.CreateUser(ctx, tx, input.Name, cmp.Or(invitation.Email, input.Email), hash)
		if err != nil {
			known = errors.Is(err, models.ErrTaken)
			return user, err
		}
		ctx := audit.WithActor(ctx, actorOf(user))
		if err := join(ctx, tx, organization, token, user); err != nil {
			return user, err
		}
		access := []accounts.Access{{Organization: organization, Role: invitation.Role}}
		return user, recordOfUser(ctx, tx, access, user, audit.Event{Action: action.UserSignIn})
	})
	if known {
		form.Refuse("email", "This address has an account already. Sign in to accept the invitation.")
		return h.renderInvitation(c, fiber.StatusUnprocessableEntity, invitation, organization, form)
	}
	if err != nil {
		return h.deadLink(c, err, "invitation")
	}
	return redirect(c, settingsPath(organization, "audit-logs"))
}

// join uses an invitation up for a user and records that they joined.
func join(ctx context.Context, tx *gorm.DB, organization models.Organization, token string, user accounts.User) error {
	invitation, err := accounts.AcceptInvitation(ctx, tx, token, user)
	if err != nil {
		return err
	}
	maker, err := invitation.Maker(ctx, tx)
	if err != nil {
		return err
	}
	if err := noteChange(ctx, tx, organization.ID, accounts.SettingRole(user.ID)); err != nil {
		return err
	}
	_, err = audit.Record(ctx, tx, audit.Event{
		Organization: organization.Slug,
		Action:       action.MemberJoin,
		EntityID:     user.ID,
		EntityName:   user.Name,
		Metadata: map[string]any{
			"role":       invitation.Role,
			"invitation": invitation.ID(),
			"invited_by": invitation.InvitedBy,
			linkMadeBy:   makerFacts(maker),
		},
	})
	return err
}

func (h *Handlers) renderInvitation(c *fiber.Ctx, status int, invitation accounts.Invitation, organization models.Organization, form Form) error {
	return h.render(c, status, "account/invitation", invitationPage{
		Frame:      h.frame(c, "Join "+organization.Name, ""),
		Inviting:   organization,
		Invitation: invitation,
		Form:       form,
		Stranger:   scopeOf(c).User != nil && !invitation.For(scopeOf(c).User.Email),
		LoginPath:  loginPath(safeReturn(c.Path())),
	})
}

// deadLinkPage shows that a link leads nowhere any more, and what to do.
type deadLinkPage struct {
	Frame Frame
	Kind  string // "invitation" or "reset link"
}

// deadLink responds with 404 in words of its own where a link was used, revoked or has expired; other
// errors stay what they are.
func (h *Handlers) deadLink(c *fiber.Ctx, err error, kind string) error {
	if !errors.Is(err, models.ErrNotFound) && !errors.Is(err, models.ErrClosed) {
		return err
	}
	page := deadLinkPage{Frame: h.frame(c, "This link has ended", ""), Kind: kind}
	return h.render(c, fiber.StatusNotFound, "account/dead-link", page)
}

// reads reports whether an organization is among those the reader may read.
func (s *Scope) reads(orgID int64) bool {
	for _, a := range s.access {
		if a.ID == orgID {
			return true
		}
	}
	return false
}
