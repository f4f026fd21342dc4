package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReferenceNamesExecutableAndVersion(t *testing.T) {
	for reference, want := range map[string][2]string{
		"podlet":                               {"podlet", "latest"},
		"podlet:v1":                            {"podlet", "v1"},
		"registry.example:5000/team/podlet":    {"podlet", "latest"},
		"registry.example:5000/team/podlet:v2": {"podlet", "v2"},
		"team/podlet@sha256:abc":               {"podlet", "sha256:abc"},
		"team/podlet:v3@sha256:abc":            {"podlet", "v3"},
	} {
		if name, version := splitReference(reference); name != want[0] || version != want[1] {
			t.Errorf("%s: %s, %s; want %s, %s", reference, name, version, want[0], want[1])
		}
	}
}

func TestPull(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"good": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	i := newImages(dir)
	first, err := i.pull("good:v1")
	if err != nil || first.version != "v1" || !strings.HasPrefix(first.id, "good@sha256:") {
		t.Fatalf("pull good:v1 = %+v, %v", first, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), []byte("other"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "good")); err != nil {
		t.Fatal(err)
	}
	if second, err := i.pull("good:v1"); err != nil || second.id == first.id {
		t.Errorf("pull after the executable changed: id %s, %v; want another than before", second.id, err)
	}
	for _, reference := range []string{"none:v1", "text:v1", "..:v1", "/:v1", ""} {
		if img, err := i.pull(reference); err == nil {
			t.Errorf("pull %q = %+v, want an error", reference, img)
		}
	}
}
