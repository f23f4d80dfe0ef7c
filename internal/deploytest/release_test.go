//go:build linux

package deploytest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// The systems that a release is built for, and that this is not, have all that the program is made of: its packages, and
// those that they import, are type-checked for each. To compile them would take minutes of a processor each, and this
// takes ten seconds.
func TestEverySystemOfARelease(t *testing.T) {
	listed := regexp.MustCompile(`\bplatforms=\((\w+/[^)]+)\)`).FindStringSubmatch(read(t, "scripts/release"))
	if listed == nil {
		t.Fatal("scripts/release names no systems")
	}
	for _, platform := range strings.Fields(listed[1]) {
		if platform == runtime.GOOS+"/"+runtime.GOARCH {
			continue
		}
		system, architecture, _ := strings.Cut(platform, "/")
		t.Run(system+" on "+architecture, func(t *testing.T) {
			program, err := packages.Load(&packages.Config{
				Context: t.Context(),
				Dir:     root(t),
				Env:     append(os.Environ(), "GOOS="+system, "GOARCH="+architecture, "CGO_ENABLED=0"),
				Mode:    packages.NeedName | packages.NeedImports | packages.NeedDeps | packages.NeedCompiledGoFiles | packages.NeedSyntax | packages.NeedTypes,
			}, "github.com/auditlogs/auditlogs/...")
			if err != nil {
				t.Fatal(err)
			}
			packages.Visit(program, nil, func(p *packages.Package) {
				for _, fault := range p.Errors {
					t.Error(fault)
				}
			})
			if !slices.ContainsFunc(program, func(p *packages.Package) bool { return p.Name == "main" && p.Types != nil }) {
				t.Error("there is no program")
			}
		})
	}
}

// What a release consists of, of the last commit, for this system; another run makes the same bytes.
func TestRelease(t *testing.T) {
	clone := t.TempDir()
	run := func(name string, arguments ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), name, arguments...)
		command.Dir = clone
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, arguments, err, output)
		}
		return string(output)
	}
	absolute, err := filepath.Abs(root(t))
	if err != nil {
		t.Fatal(err)
	}
	run("git", "clone", "--quiet", absolute, ".")
	platform := strings.ReplaceAll(strings.TrimSpace(run("go", "env", "GOOS", "GOARCH")), "\n", "/")
	var sums []string
	for range 2 {
		run("scripts/release", platform)
		run("sh", "-c", "cd release && sha256sum --check --strict SHA256SUMS")
		sums = append(sums, run("cat", "release/SHA256SUMS"))
	}
	if sums[0] != sums[1] {
		t.Errorf("two runs differ:\n%s\n%s", sums[0], sums[1])
	}
	if strings.Contains(sums[0], "devel") {
		t.Errorf("the version is unknown:\n%s", sums[0])
	}
	archive := regexp.MustCompile(`auditlogs_(\S+)_` + strings.ReplaceAll(platform, "/", "_") + `\.tar\.gz`).FindStringSubmatch(sums[0])
	if archive == nil {
		t.Fatalf("no archive in %s", sums[0])
	}
	run("tar", "--extract", "--file", "release/"+archive[0], "--directory", "release")
	if got := run("release/auditlogs/auditlogs", "version"); got != "v"+archive[1]+"\n" {
		t.Errorf("%s holds version %s", archive[0], got)
	}
	for _, file := range []string{"LICENSE", "README.md", "CHANGELOG.md", "docs/deployment.md", "deploy/auditlogs.service"} {
		if _, err := os.Stat(filepath.Join(clone, "release/auditlogs", file)); err != nil {
			t.Error(err)
		}
	}
	var bill struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal([]byte(run("cat", fmt.Sprintf("release/auditlogs_%s.sbom.json", archive[1]))), &bill); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range bill.Components {
		names[c.Name] = c.Version != ""
	}
	if bill.BOMFormat != "CycloneDX" || !names["gorm.io/gorm"] || !names["modernc.org/sqlite"] {
		t.Errorf("the bill of materials is %q with %v", bill.BOMFormat, bill.Components)
	}
}
