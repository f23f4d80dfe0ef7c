package documents

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are the documents of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := fs.Glob(os.DirFS(root), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := fs.Glob(os.DirFS(root), "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(found, more...)
}

var (
	codeBlock = regexp.MustCompile("(?s)```.*?```")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// namedPath is a path of the repository in backticks: it has a slash and begins with a folder of the top level, or
	// is a file there.
	namedPath = regexp.MustCompile("`([A-Za-z0-9_./-]+)`")
	namedIn   = regexp.MustCompile("`([A-Za-z.]+)` in `([a-z_/]+\\.go)`")
	namedTest = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*|Fuzz[A-Z][A-Za-z0-9]*)(?:/[a-z]+)?`")
)

// Every file that a document links to or names is there. CHANGELOG.md names what was.
func TestEveryPathInTheDocumentsExists(t *testing.T) {
	top, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]bool{}
	for _, entry := range top {
		folders[entry.Name()] = entry.IsDir()
	}
	for _, page := range pages(t) {
		text := codeBlock.ReplaceAllString(read(t, page), "")
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") || page == "CHANGELOG.md" {
				continue
			}
			file := page
			if target != "" {
				file = path.Join(path.Dir(page), target)
			}
			if _, err := os.Stat(root + file); err != nil {
				t.Errorf("%s links to %s, which is not there", page, found[1])
			} else if anchor != "" && !hasHeading(read(t, file), anchor) {
				t.Errorf("%s links to %s, which has no such heading", page, found[1])
			}
		}
		for _, found := range namedPath.FindAllStringSubmatch(text, -1) {
			name := found[1]
			first, _, inside := strings.Cut(name, "/")
			if !inside || !folders[first] || page == "CHANGELOG.md" || strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "data/") {
				continue
			}
			if _, err := os.Stat(root + name); err != nil {
				t.Errorf("%s names %s, which is not there", page, name)
			}
		}
	}
}

// What a document says a Go file holds is in it.
func TestWhatTheDocumentsPointToIsThere(t *testing.T) {
	for _, page := range pages(t) {
		for _, found := range namedIn.FindAllStringSubmatch(read(t, page), -1) {
			name := found[1][strings.LastIndex(found[1], ".")+1:]
			source, err := os.ReadFile(root + found[2])
			if err != nil || !regexp.MustCompile(`\b`+name+`\b`).Match(source) {
				t.Errorf("%s says that %s is in %s", page, found[1], found[2])
			}
		}
	}
}

// hasHeading reports whether a page has a heading that GitHub gives this anchor.
func hasHeading(page, anchor string) bool {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(codeBlock.ReplaceAllString(page, ""), -1) {
		text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(heading[1], "$1")
		text = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(text), "")
		if strings.ReplaceAll(text, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// Every test that a document names as evidence is there.
func TestEveryTestInTheDocumentsExists(t *testing.T) {
	var tests bytes.Buffer
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(file)
		tests.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		for _, found := range namedTest.FindAllStringSubmatch(read(t, page), -1) {
			if !bytes.Contains(tests.Bytes(), []byte("func "+found[1]+"(t *testing.T)")) && !bytes.Contains(tests.Bytes(), []byte("func "+found[1]+"(f *testing.F)")) {
				t.Errorf("%s names %s, which is not there", page, found[1])
			}
		}
	}
}
