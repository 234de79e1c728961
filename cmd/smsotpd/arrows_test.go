package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "smsotpd"

// arrow says which packages of this module the packages called by from may
// import. A name that ends in /... means the package and all below it.
type arrow struct {
	rule string
	from string
	to   []string
}

// arrows are the houses and rooms of docs/ARCHITECTURE.md. The first that
// matches a package holds for it; a package that none matches has no room yet
// and fails the test.
func arrows() []arrow {
	lower := []string{"gateway/number", "gateway/keyring", "storage"}
	with := func(more ...string) []string { return append(slices.Clone(lower), more...) }
	return []arrow{
		{"cmd puts everything together", "cmd/...", []string{"gateway/...", "modem/...", "storage/..."}},

		{"storage knows nothing of what is stored", "storage", nil},
		{"an engine knows the storage contract alone", "storage/...", []string{"storage/..."}},

		{"the wire under the AT engine stands alone", "modem/wire", nil},
		{"the simulator shares no eyes with the driver", "modem/sim", nil},
		{"the driver knows nothing of verifications, queues or storage", "modem/...", []string{"modem/..."}},

		{"keyring imports no other room", "gateway/keyring", nil},
		{"number imports no other room", "gateway/number", nil},
		{"dispatch alone imports a sibling: queue; of modem it takes the value types", "gateway/dispatch", with("gateway/queue", "modem", "gateway/dispatch/...")},
		{"dispatch's inner rooms know the lower ones alone", "gateway/dispatch/...", lower},
		{"access serves api, compat and web, and knows keys and storage", "gateway/access", lower},

		{"the native API stands on gateway and access", "gateway/api", []string{"gateway", "gateway/access", "gateway/dispatch/budget", "gateway/dispatch/health", "gateway/inbound", "gateway/ledger", "gateway/queue", "gateway/verification", "modem"}},
		{"compat stands on gateway and access", "gateway/compat", []string{"gateway", "gateway/access", "gateway/queue", "gateway/verification"}},
		{"web stands on gateway and access", "gateway/web", []string{"gateway", "gateway/access", "gateway/queue", "gateway/verification", "modem"}},

		{
			"the front door puts the rooms together and knows nothing of HTTP", "gateway",
			with("gateway/verification", "gateway/guard", "gateway/ledger", "gateway/text", "gateway/queue", "gateway/dispatch/...", "gateway/inbound", "gateway/webhook", "modem"),
		},
		{"siblings never import one another", "gateway/...", lower},
	}
}

func matches(pattern, pkg string) bool {
	if house, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == house || strings.HasPrefix(pkg, house+"/")
	}
	return pkg == pattern
}

func TestArrowsPointDown(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 5 {
		t.Fatalf("go list found only %d packages of the module", len(packages))
	}
	for _, pkg := range packages {
		i := slices.IndexFunc(arrows(), func(a arrow) bool { return matches(a.from, pkg.name()) })
		if i < 0 {
			t.Errorf("%s has no rule in arrows: which room is it?", pkg.name())
			continue
		}
		rule := arrows()[i]
		for _, imported := range pkg.ours() {
			if !slices.ContainsFunc(rule.to, func(to string) bool { return matches(to, imported) }) {
				t.Errorf("%s imports %s, but %s", pkg.name(), imported, rule.rule)
			}
		}
	}
}

// Some libraries are behind one package each, so that they can be replaced
// and their traps are known in one place.
func TestLibrariesStayInTheirRooms(t *testing.T) {
	rooms := map[string][]string{
		"github.com/nyaruka/phonenumbers":    {"gateway/number"},
		"go.etcd.io/bbolt":                   {"storage/bolt"},
		"github.com/warthog618/modem/at":     {"modem/..."},
		"github.com/danielgtaylor/huma/v2":   {"gateway/api", "gateway/compat"},
		"github.com/spf13/cobra":             {"cmd/..."},
		"net/http":                           {"cmd/...", "gateway/api", "gateway/compat", "gateway/web", "gateway/access", "gateway/webhook"},
		"github.com/warthog618/modem/gsm":    nil,
		"github.com/warthog618/modem/serial": nil,
	}
	for _, pkg := range listPackages(t) {
		for _, imported := range pkg.Imports {
			allowed, ruled := rooms[imported]
			if ruled && !slices.ContainsFunc(allowed, func(room string) bool { return matches(room, pkg.name()) }) {
				t.Errorf("%s imports %s, which belongs to %v", pkg.name(), imported, allowed)
			}
		}
	}
}

// goPackage is what `go list -json` says of a package.
type goPackage struct {
	ImportPath string
	Imports    []string
}

// name is the package's path below the module.
func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// ours are the imported packages of this module.
func (p goPackage) ours() []string {
	var ours []string
	for _, imported := range p.Imports {
		if name, ok := strings.CutPrefix(imported, module+"/"); ok {
			ours = append(ours, name)
		}
	}
	return ours
}

// listPackages lists the module's packages, tests left out: a test may reach
// further, for a store or a simulated modem to test with.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, module+"/") {
			packages = append(packages, p)
		}
	}
}
