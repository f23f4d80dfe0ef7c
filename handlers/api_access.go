package handlers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// apiCaller is the program that asks: the key it showed, and the organization the key belongs to.
type apiCaller struct {
	key accounts.APIKey
	org models.Organization
}

// callerOf is the program that WithAPIKey found.
func callerOf(c *fiber.Ctx) apiCaller {
	caller, _ := c.Locals(callerKey).(apiCaller)
	return caller
}

// How often a client may show keys that cannot be used. Whoever shows one that could be used lately
// is not held up by others at the same address.
const (
	refusedKeysPerSecond = 1
	refusedKeysAtOnce    = 60
)

// WithAPIKey is middleware for what programs ask. It finds out whose key the request bears, and
// refuses keys that cannot be used, that ask too often, whose organization has been deleted, or whose
// scope is none of scopes.
func (h *Handlers) WithAPIKey(scopes ...accounts.KeyScope) fiber.Handler {
	return func(c *fiber.Ctx) error {
		token, ok := bearerToken(c)
		if !ok {
			return refuseKey(c, `Bearer realm="Audit Logs"`, "Send an API key: Authorization: Bearer alk_…. Admins create keys in Settings → API Keys.")
		}
		caller, err := h.callerWith(c, token)
		if err != nil {
			return err
		}
		c.Locals(callerKey, caller)
		if caller.org.Closed() {
			return models.ErrClosed // nobody could revoke a key that went on
		}
		if !slices.Contains(scopes, caller.key.Scope) {
			c.Set(fiber.HeaderWWWAuthenticate, fmt.Sprintf(`Bearer realm="Audit Logs", error="insufficient_scope", scope=%q`, scopes[0]))
			return newProblem(fault.Forbidden, fmt.Sprintf("This key has the scope %s; this request needs a key with the scope %s.", caller.key.Scope, scopes[0]))
		}
		h.noteUse(contextOf(c), caller.key)
		visiting, _ := models.WithVisit(contextOf(c), caller.key.ID, 0)
		c.SetUserContext(visiting)
		return c.Next()
	}
}

// useNotedWithin is how long a request waits to write down that its key was used.
const useNotedWithin = time.Second

// noteUse writes down that key was used. Where that fails, or others write for so long that reading
// would wait for them, only the time of its use is lost.
func (h *Handlers) noteUse(ctx context.Context, key accounts.APIKey) {
	soon, cancel := context.WithTimeout(ctx, useNotedWithin)
	defer cancel()
	if err := h.Accounts.NoteAPIKeyUse(soon, key); err != nil {
		h.Log.WarnContext(ctx, "note the use of an API key", "error", err)
	}
}

// callerWith finds who shows token, unless it or who shows it asks too often.
func (h *Handlers) callerWith(c *fiber.Ctx, token string) (apiCaller, error) {
	ctx, now := contextOf(c), h.Store.Now()
	key, address := sha256.Sum256([]byte(token)), networkOf(event.RequestFrom(contextOf(c)).IP)
	known := h.keyRequests.has(key)
	if known {
		if err := h.takeRequest(c, key, now); err != nil {
			return apiCaller{}, err
		}
	} else if wait := h.refusedKeys.wait(address, now); wait > 0 {
		return apiCaller{}, tooMany(c, wait, "Too many requests with keys that do not work.")
	}
	var caller apiCaller
	var err error
	caller.key, caller.org, err = h.Accounts.APIKeyByToken(ctx, token)
	if errors.Is(err, models.ErrNotFound) {
		h.keyRequests.forget(key)
		h.refusedKeys.take(address, now, refusedKeysPerSecond, refusedKeysAtOnce)
		return apiCaller{}, refuseKey(c, `Bearer realm="Audit Logs", error="invalid_token"`, "There is no such API key, or it has been revoked or has expired.")
	}
	if err == nil && !known {
		err = h.takeRequest(c, key, now)
	}
	return caller, err
}

// takeRequest counts a request of a key, or refuses it.
func (h *Handlers) takeRequest(c *fiber.Ctx, key [sha256.Size]byte, now time.Time) error {
	perSecond, atOnce := rate.Limit(h.APIRateLimit), 2*h.APIRateLimit
	if h.APIRateLimit <= 0 {
		perSecond = rate.Inf
	}
	if wait := h.keyRequests.take(key, now, perSecond, atOnce); wait > 0 {
		return tooMany(c, wait, fmt.Sprintf("This key is allowed %d requests a second, and %d at once.", h.APIRateLimit, atOnce))
	}
	return nil
}

// bearerToken is what the request's Authorization header bears.
func bearerToken(c *fiber.Ctx) (string, bool) {
	scheme, token, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

func refuseKey(c *fiber.Ctx, challenge, detail string) error {
	c.Set(fiber.HeaderWWWAuthenticate, challenge)
	return newProblem(unauthorized, detail)
}

func tooMany(c *fiber.Ctx, wait time.Duration, detail string) error {
	c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return newProblem(rateLimited, detail)
}
