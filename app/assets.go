package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/auditlogs/auditlogs/static"
)

// assets are the static files. Each has an address with a hash of its content in it, so browsers
// may keep it for ever: a changed file has another address.
type assets struct {
	byName    map[string]*asset // "htmx.min.js"
	byAddress map[string]*asset // "/static/htmx.min.0f3a5b7c.js"
}

type asset struct {
	address     string
	hash        string
	contentType string
	content     []byte
	// Compressed once, when first asked for.
	brotli, gzip func() []byte
}

// loadAssets reads the embedded files. They are the same for every App of a process.
var loadAssets = sync.OnceValues(func() (*assets, error) {
	files, err := static.Files()
	if err != nil {
		return nil, err
	}
	a := &assets{byName: map[string]*asset{}, byAddress: map[string]*asset{}}
	for name, content := range files {
		if err := a.add(name, content); err != nil {
			return nil, err
		}
	}
	return a, nil
})

// contentTypes of the files; the operating system's own list may differ from machine to machine.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func (a *assets) add(name string, content []byte) error {
	extension := path.Ext(name)
	contentType, ok := contentTypes[extension]
	if !ok {
		return fmt.Errorf("static file %s: unknown type", name)
	}
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:4])
	added := &asset{
		address:     "/static/" + strings.TrimSuffix(name, extension) + "." + hash + extension,
		hash:        hash,
		contentType: contentType,
		content:     content,
		brotli:      sync.OnceValue(func() []byte { return fasthttp.AppendBrotliBytesLevel(nil, content, 9) }),
		gzip:        sync.OnceValue(func() []byte { return fasthttp.AppendGzipBytesLevel(nil, content, 9) }),
	}
	a.byName[name] = added
	a.byAddress[added.address] = added
	return nil
}

// address is where a file is served, by its name. Asking for one that does not exist is
// a mistake in a template, which fails to render.
func (a *assets) address(name string) string {
	found, ok := a.byName[name]
	if !ok {
		panic(fmt.Sprintf("no static file %q", name))
	}
	return found.address
}

// serve answers a file, or 304 to a browser that has it and asks whether it is still so.
func (a *assets) serve(c *fiber.Ctx) error {
	found, ok := a.byAddress[c.Path()]
	if !ok {
		return fiber.ErrNotFound
	}
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	content, encoding := found.content, ""
	if isText(found.contentType) {
		c.Vary(fiber.HeaderAcceptEncoding)
		switch encoding = acceptedEncoding(c); encoding {
		case "br":
			content = found.brotli()
		case "gzip":
			content = found.gzip()
		}
	}
	c.Set(fiber.HeaderETag, `"`+found.hash+encoding+`"`)
	if c.Fresh() {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	c.Set(fiber.HeaderContentType, found.contentType)
	if encoding != "" {
		c.Set(fiber.HeaderContentEncoding, encoding)
	}
	return c.Send(content)
}
