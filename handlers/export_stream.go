package handlers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
)

// The body of an export is written after its handler has returned, for as long as the client
// reads. It holds one batch of entries at a time. An export that fails midway must not look
// complete: the reader of the body gets the error, fasthttp then closes the connection without the
// chunk that ends a body, and every HTTP client reports a broken transfer. (SetBodyStreamWriter
// cannot do that: whatever its function does, the body ends well.)

// streamPatience is how long a client may take for one batch of entries.
const streamPatience = time.Minute

var errShutdown = errors.New("the server is shutting down")

// entryStream is an export under way.
type entryStream struct {
	format  exportFormat
	file    exportFile
	read    func(ctx context.Context, fn func([]models.Entry) error) error
	include func(models.Entry) bool
	ended   func() // is called at the end; may be nil
	log     *slog.Logger
}

// send makes the stream the body of the answer to c. It takes all it needs from c before it
// returns.
func (s entryStream) send(c *fiber.Ctx) {
	// The request's values (who asks) outlive it, its deadline does not.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(contextOf(c)))
	shutdown, conn := c.Context().Done(), c.Context().Conn()
	reader, writer := io.Pipe()

	go func() {
		select {
		case <-shutdown:
			cancel(errShutdown)
		case <-ctx.Done():
		}
	}()
	go func() {
		defer cancel(nil)
		if s.ended != nil {
			defer s.ended()
		}
		started := time.Now()
		count, err := s.write(ctx, writer, conn)
		writer.CloseWithError(err) // nil reads as the end of the body
		switch log := s.log.With("entries", count, "took", time.Since(started)); {
		case err == nil:
			log.Info("export finished")
		case errors.Is(err, io.ErrClosedPipe):
			log.Info("export stopped: the client is gone")
		default:
			log.Error("export failed; its file is incomplete", "error", err)
		}
	}()

	// The deadlines set on the connection are this body's; another answer shall not inherit them.
	c.Context().SetConnectionClose()
	c.Context().SetBodyStream(streamBody{reader, cancel}, -1)
}

// write hands all entries to w and returns how many there were.
func (s entryStream) write(ctx context.Context, w io.Writer, conn net.Conn) (count int, err error) {
	defer func() { // nobody else would catch it, and the process would end
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	out := bufio.NewWriterSize(w, 32<<10)
	s.format.begin(out, s.file)
	err = s.read(ctx, func(entries []models.Entry) error {
		// Someone who keeps reading is served for as long as it takes.
		if err := conn.SetWriteDeadline(time.Now().Add(streamPatience)); err != nil {
			return fmt.Errorf("extend the deadline of the connection: %w", err)
		}
		for _, entry := range entries {
			if !s.include(entry) {
				continue
			}
			if err := s.format.entry(out, s.file, entry); err != nil {
				return fmt.Errorf("write entry %s: %w", entry.ID, err)
			}
			count++
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return out.Flush()
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return count, err
	}
	return count, out.Flush()
}

// streamBody is the body that fasthttp reads. Closing it, which fasthttp does at the end and when
// the client is gone, stops the stream.
type streamBody struct {
	*io.PipeReader
	cancel context.CancelCauseFunc
}

func (b streamBody) Close() error {
	b.cancel(io.ErrClosedPipe)
	return b.PipeReader.Close()
}
