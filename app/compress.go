package app

import (
	"bytes"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/andybalholm/brotli/matchfinder"
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
		packed := brotliBuffers.Get().(*brotliBuffer)
		response.SetBody(packed.compress(body)) // a copy: the buffer's is used again
		brotliBuffers.Put(packed)
		c.Set(fiber.HeaderContentEncoding, "br")
	case "gzip":
		response.SetBodyRaw(fasthttp.AppendGzipBytesLevel(nil, body, fasthttp.CompressDefaultCompression))
		c.Set(fiber.HeaderContentEncoding, "gzip")
	}
}

// brotliBuffers are at hand for answers: one has tables of more than a megabyte.
var brotliBuffers = sync.Pool{New: func() any { return &brotliBuffer{writer: brotli.NewWriterV2(nil, brotliLevel)} }}

// brotliLevel makes a page of the log 7 % larger than level 5 of the encoder that fasthttp has, in a
// third of the time.
const brotliLevel = 3

// brotliBuffer is an encoder with the memory of its answer.
type brotliBuffer struct {
	writer *matchfinder.Writer
	answer bytes.Buffer
}

// compress returns memory that the next call uses again.
func (b *brotliBuffer) compress(body []byte) []byte {
	b.answer.Reset()
	b.writer.Reset(&b.answer)
	// Writing to memory does not fail.
	_, _ = b.writer.Write(body)
	_ = b.writer.Close()
	return b.answer.Bytes()
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
