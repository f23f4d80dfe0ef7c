package app

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	// worthCompressing is the size below which compressing gains nothing.
	worthCompressing = 500
	// costlyToCompress is the size above which it would keep a processor busy for seconds. Only what
	// programs ask for is that large: a page of entries may hold 25 MB of metadata.
	costlyToCompress = 1 << 20
)

// compress compresses a text that is complete. Streams go out as they are: their length is not
// known, and a break in one must reach the reader as a break.
func compress(c *fiber.Ctx) {
	response := c.Response()
	if response.IsBodyStream() || len(response.Header.Peek(fiber.HeaderContentEncoding)) > 0 || !isText(string(response.Header.ContentType())) {
		return
	}
	body := response.Body()
	if len(body) < worthCompressing || len(body) > costlyToCompress {
		return
	}
	if string(response.Header.Peek(fiber.HeaderCacheControl)) != noStore {
		c.Vary(fiber.HeaderAcceptEncoding) // only what is stored can be mistaken for another answer
	}
	switch acceptedEncoding(c) {
	case "br":
		response.SetBodyRaw(fasthttp.AppendBrotliBytesLevel(nil, body, 5))
		c.Set(fiber.HeaderContentEncoding, "br")
	case "gzip":
		response.SetBodyRaw(fasthttp.AppendGzipBytesLevel(nil, body, fasthttp.CompressDefaultCompression))
		c.Set(fiber.HeaderContentEncoding, "gzip")
	}
}

func isText(contentType string) bool {
	for _, text := range []string{"text/", "application/json", "application/problem+json", "application/yaml", "image/svg+xml"} {
		if strings.HasPrefix(contentType, text) {
			return true
		}
	}
	return false
}

// acceptedEncoding is the best encoding the client reads: "br", "gzip" or "" for none.
func acceptedEncoding(c *fiber.Ctx) string {
	if c.Get(fiber.HeaderAcceptEncoding) == "" {
		return ""
	}
	for _, encoding := range []string{"br", "gzip"} {
		if c.AcceptsEncodings(encoding) == encoding {
			return encoding
		}
	}
	return ""
}
