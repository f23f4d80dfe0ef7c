package handlers

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models/accounts"
)

// deviceCookieName is the cookie by which a browser is known for an account: see accounts.KnownDevice.
func (h *Handlers) deviceCookieName() string {
	if h.secure() {
		return "__Host-audit_device"
	}
	return "audit_device"
}

// knownDevice is the token of a browser with which the user signed in before, or empty.
func (h *Handlers) knownDevice(ctx context.Context, c *fiber.Ctx, user accounts.User) (string, error) {
	token := c.Cookies(h.deviceCookieName())
	if token == "" {
		return "", nil
	}
	known, err := h.Accounts.KnowsDevice(ctx, user.ID, token)
	if err != nil || !known {
		return "", err
	}
	return token, nil
}

// rememberDevice makes the browser known for somebody who has just signed in with it. Where that fails
// only this is lost.
func (h *Handlers) rememberDevice(ctx context.Context, c *fiber.Ctx, user accounts.User) {
	var token string
	err := h.Store.Transaction(ctx, func(tx *gorm.DB) (err error) {
		token, err = accounts.RememberDevice(ctx, tx, user.ID, c.Cookies(h.deviceCookieName()))
		return err
	})
	if err != nil {
		h.Log.ErrorContext(ctx, "remember the browser of a sign-in", "error", err)
		return
	}
	c.Cookie(&fiber.Cookie{
		Name:     h.deviceCookieName(),
		Value:    token,
		Path:     "/",
		MaxAge:   int(accounts.KnownDeviceLifetime / time.Second),
		Secure:   h.secure(),
		HTTPOnly: true,
		SameSite: fiber.CookieSameSiteLaxMode,
	})
}
