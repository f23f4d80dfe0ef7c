// Package views holds the templates and what they call: a page and its fragments in one file, parts
// shared by several pages in shared.
package views

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"net/http"
	"sync"

	"github.com/gofiber/template/html/v2"

	"github.com/auditlogs/auditlogs/static"
)

//go:embed *.html */*.html
var files embed.FS

// Load parses the templates, which are named by their path: "log/page". They are the same for the whole process.
var Load = sync.OnceValues(func() (*html.Engine, error) {
	assets, err := static.Load()
	if err != nil {
		return nil, err
	}
	engine := html.NewFileSystem(http.FS(files), ".html")
	engine.AddFuncMap(functions(assets.Address))
	if err := engine.Load(); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	// html/template works out how to escape when a template runs for the first time, and the engine
	// copies templates without waiting for that. Doing it now keeps the two apart, and finds every
	// mistake in escaping at start. Whatever else a template says without data does not matter.
	for _, template := range engine.Templates.Templates() {
		var mistake *htmltemplate.Error
		if err := template.Execute(io.Discard, nil); errors.As(err, &mistake) {
			return nil, fmt.Errorf("templates: %w", mistake)
		}
	}
	return engine, nil
})
