package static

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
)

// Files are what pages load, each at an address with a hash of its content in it, so that browsers may
// keep it for ever: a changed file has another address.
type Files struct {
	addresses map[string]string // by name: "/static/htmx.min.0f3a5b7c.js" of "htmx.min.js"
	byAddress map[string]file
}

type file struct {
	extension, hash string
	content         []byte
}

// Load reads the embedded files. They are the same for the whole process.
var Load = sync.OnceValues(func() (*Files, error) {
	f := &Files{addresses: map[string]string{}, byAddress: map[string]file{}}
	for name, parts := range bundles {
		content, err := bundle(name, parts)
		if err != nil {
			return nil, fmt.Errorf("static file %s: %w", name, err)
		}
		sum := sha256.Sum256(content)
		hash, extension := hex.EncodeToString(sum[:4]), path.Ext(name)
		address := "/static/" + strings.TrimSuffix(name, extension) + "." + hash + extension
		f.addresses[name], f.byAddress[address] = address, file{extension, hash, content}
	}
	return f, nil
})

// Address is where a file is served, by its name. Asking for one that does not exist is a mistake in a
// template, which fails to render.
func (f *Files) Address(name string) string {
	address, ok := f.addresses[name]
	if !ok {
		panic(fmt.Sprintf("no static file %q", name))
	}
	return address
}

// contentTypes of the files; the operating system's own list may differ from machine to machine.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Serve responds with a file, or with 304 to a browser that has it and asks whether it is still so.
func (f *Files) Serve(c *fiber.Ctx) error {
	found, ok := f.byAddress[c.Path()]
	if !ok {
		return fiber.ErrNotFound
	}
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	c.Set(fiber.HeaderETag, `"`+found.hash+c.AcceptsEncodings("br", "gzip")+`"`) // it is compressed on its way out
	if c.Fresh() {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	c.Set(fiber.HeaderContentType, contentTypes[found.extension])
	return c.Send(found.content)
}
