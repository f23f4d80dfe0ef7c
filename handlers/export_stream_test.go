package handlers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
)

// serveStream serves an export on a real connection and returns its address.
func serveStream(t *testing.T, read func(context.Context, func([]models.Entry) error) error) (address string, server *fiber.App) {
	t.Helper()
	server = fiber.New(fiber.Config{DisableStartupMessage: true, WriteTimeout: time.Minute})
	server.Get("/", func(c *fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel() // as the middleware does: the handler's context ends with the handler
		c.SetUserContext(ctx)
		entryStream{
			format:  exportFormats["csv"],
			file:    acmeFile,
			read:    read,
			include: func(models.Entry) bool { return true },
			log:     slog.New(slog.DiscardHandler),
		}.send(c)
		return nil
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Listener(listener) }()
	t.Cleanup(func() {
		if err := server.ShutdownWithTimeout(10 * time.Second); err != nil {
			t.Errorf("shut down: %v", err)
		}
		<-served
	})
	return "http://" + listener.Addr().String() + "/", server
}

func get(t *testing.T, address string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func batchOf(n int) []models.Entry {
	batch := make([]models.Entry, n)
	for i := range batch {
		batch[i] = awkwardEntry()
	}
	return batch
}

func TestAnExportOutlivesItsHandler(t *testing.T) {
	address, _ := serveStream(t, func(ctx context.Context, fn func([]models.Entry) error) error {
		for range 20 {
			if err := fn(batchOf(100)); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	body, err := io.ReadAll(get(t, address).Body)
	if err != nil {
		t.Fatal(err)
	}
	if count := strings.Count(string(body), "\r\n"); count != 2001 {
		t.Errorf("the file has %d lines, want 2001", count)
	}
}

func TestAnExportThatFailsMidwayDoesNotLookComplete(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("the database is gone") },
		"panic": func() error { panic("a mistake") },
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := serveStream(t, func(_ context.Context, fn func([]models.Entry) error) error {
				if err := fn(batchOf(100)); err != nil {
					return err
				}
				return fail()
			})
			response := get(t, address)
			if response.StatusCode != http.StatusOK {
				t.Fatalf("status %d", response.StatusCode)
			}
			if _, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the transfer ends with %v, want an unexpected end", err)
			}
		})
	}
}

func TestAnExportStopsWhenNobodyReads(t *testing.T) {
	stopped := make(chan struct{})
	address, _ := serveStream(t, func(ctx context.Context, fn func([]models.Entry) error) error {
		defer close(stopped)
		for {
			if err := fn(batchOf(100)); err != nil {
				return err
			}
		}
	})
	response := get(t, address)
	if _, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	<-stopped
}

func TestAnExportStopsWhenTheServerDoes(t *testing.T) {
	stopped := make(chan error, 1)
	address, server := serveStream(t, func(ctx context.Context, fn func([]models.Entry) error) error {
		if err := fn(batchOf(1)); err != nil {
			return err
		}
		<-ctx.Done()
		stopped <- context.Cause(ctx)
		return ctx.Err()
	})
	response := get(t, address)
	go func() { _ = server.ShutdownWithTimeout(10 * time.Second) }() // the cleanup reports on it
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("the transfer looks complete")
	}
	if cause := <-stopped; !errors.Is(cause, errShutdown) {
		t.Errorf("it stopped because of %v", cause)
	}
}

// A file of some 80 MB goes through while the program holds a small part of it.
func TestAnExportHoldsOneBatchAtATime(t *testing.T) {
	const batches = 400
	batch := batchOf(500)
	var most uint64
	address, _ := serveStream(t, func(_ context.Context, fn func([]models.Entry) error) error {
		for i := range batches {
			if err := fn(batch); err != nil {
				return err
			}
			if i%100 == 99 {
				var memory runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&memory)
				most = max(most, memory.HeapAlloc)
			}
		}
		return nil
	})
	size, err := io.Copy(io.Discard, get(t, address).Body)
	if err != nil {
		t.Fatal(err)
	}
	if size < 60<<20 || most > 16<<20 {
		t.Errorf("a file of %d bytes made the program hold %d bytes", size, most)
	}
}
