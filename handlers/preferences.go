package handlers

import (
	"net/url"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// preferencesCookie keeps zone and theme for this browser, also when nobody is signed in, so the
// sign-in page and the first page after it are right already. It holds nothing secret.
const preferencesCookie = "audit_preferences"

// readPreferences fills zone and theme of the scope: from the session, or else from the browser.
func readPreferences(c *fiber.Ctx, scope *Scope) {
	browser, err := url.ParseQuery(c.Cookies(preferencesCookie))
	if err != nil {
		browser = nil
	}
	preference := func(name string) string {
		if value, ok := scope.Session.Values[name].(string); ok {
			return value
		}
		return browser.Get(name)
	}
	if zone, ok := zoneOf(preference("tz")); ok {
		scope.Location = zone
	}
	if theme, ok := themeOf(preference("theme")); ok {
		scope.Theme = theme
	}
}

// Preferences handles POST /preferences: `tz` is the reader's zone by its IANA name, `theme` is
// light, dark or system; what is absent stays. Scripts get 204, a form leads back to its page.
func (h *Handlers) Preferences(c *fiber.Ctx) error {
	scope := scopeOf(c)
	if name := posted(c, "tz"); name != "" {
		zone, ok := zoneOf(name)
		if !ok {
			return badParameter("tz", fault.Invalid, "is not the name of a time zone, such as Europe/Berlin")
		}
		scope.Location = zone
		scope.Session.Values["tz"] = zone.String()
	}
	if name := posted(c, "theme"); name != "" {
		theme, ok := themeOf(name)
		if !ok {
			return badParameter("theme", fault.Invalid, "must be light, dark or system")
		}
		scope.Theme = theme
		scope.Session.Values["theme"] = theme
	}
	c.Cookie(&fiber.Cookie{
		Name:     preferencesCookie,
		Value:    url.Values{"tz": {scope.Location.String()}, "theme": {scope.Theme}}.Encode(),
		Path:     "/",
		MaxAge:   int(365 * 24 * time.Hour / time.Second),
		Secure:   h.secure(),
		HTTPOnly: true,
		SameSite: fiber.CookieSameSiteLaxMode,
	})
	if mode := c.Get("Sec-Fetch-Mode"); fromHTMX(c) || mode != "" && mode != "navigate" {
		return c.SendStatus(fiber.StatusNoContent)
	}
	back := safeReturn(localPart(c.Get(fiber.HeaderReferer)))
	if back == "" {
		back = "/"
	}
	return redirect(c, back)
}

// zoneOf finds a time zone by its IANA name. "Local" would be the server's and is refused.
func zoneOf(name string) (*time.Location, bool) {
	if name == "" || name == "Local" || len(name) > 64 {
		return nil, false
	}
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), true
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		zones.Store(name, zone)
	}
	return zone, err == nil
}

// zones are those read so far, by name: there are some hundred, and every request needs one.
var zones sync.Map

// themeOf reads a theme's name; "system" is the empty one.
func themeOf(name string) (string, bool) {
	switch name {
	case "light", "dark":
		return name, true
	case "system", "":
		return "", true
	}
	return "", false
}
