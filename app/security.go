package app

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/gofiber/fiber/v2"
)

// contentSecurityPolicy allows what comes from this host and nothing inline.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; " +
	"img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// noStore keeps an answer out of every cache: nothing of a log stays in a browser after its reader
// has signed out.
const noStore = "no-store"

// setSecurityHeaders sets what every answer carries. Handlers may overwrite Cache-Control.
func setSecurityHeaders(c *fiber.Ctx, secure bool) {
	c.Set(fiber.HeaderContentSecurityPolicy, contentSecurityPolicy)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "same-origin")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	c.Set(fiber.HeaderCacheControl, noStore)
	if secure {
		c.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
	}
}

// refuseCrossOrigin refuses requests that change something and come from another site's page. It
// needs the method, host, Origin and Sec-Fetch-Site of the request: with any of them missing the
// check allows everything.
func (a *App) refuseCrossOrigin(c *fiber.Ctx) error {
	request := &http.Request{
		Method: c.Method(),
		Host:   c.Hostname(),
		URL:    &url.URL{Path: c.Path()},
		Header: http.Header{},
	}
	for _, name := range []string{"Origin", "Sec-Fetch-Site"} {
		if value := c.Get(name); value != "" {
			request.Header.Set(name, value)
		}
	}
	if err := a.origin.Check(request); err != nil {
		return fmt.Errorf("%w: %w", fiber.ErrForbidden, err)
	}
	return c.Next()
}
