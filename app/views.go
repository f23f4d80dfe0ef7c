package app

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"net/http"

	"github.com/gofiber/template/html/v2"

	"github.com/auditlogs/auditlogs/views"
)

// loadViews parses the embedded templates. They are named by their path: "log/page".
func loadViews(funcs map[string]any) (*html.Engine, error) {
	engine := html.NewFileSystem(http.FS(views.Files), ".html")
	engine.AddFuncMap(funcs)
	if err := engine.Load(); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	for _, template := range engine.Templates.Templates() {
		if template.Tree != nil {
			foldConstants(template.Tree.Root, funcs)
		}
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
}
