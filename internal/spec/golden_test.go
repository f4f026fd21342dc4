package spec_test

import (
	"encoding/base64"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/spec"
)

var update = flag.Bool("update", false, "write what the parser says into testdata")

// TestBadDocuments holds what is said about each bad file against the .want
// file beside it.
func TestBadDocuments(t *testing.T) {
	each(t, "testdata/bad", func(name string, data []byte) error {
		_, err := spec.Parse(name, data)
		return err
	})
}

// TestBadTemplates does the same for templates of the service shop/cart.
func TestBadTemplates(t *testing.T) {
	each(t, "testdata/template", func(name string, data []byte) error {
		s := spec.Spec{Namespace: "shop", Service: "cart", ConfigFile: base64.StdEncoding.EncodeToString(data), TemplatePath: name}
		_, err := s.Template()
		return err
	})
}

func each(t *testing.T, dir string, read func(name string, data []byte) error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %d files", dir, err, len(files))
	}
	for _, path := range files {
		if filepath.Ext(path) == ".want" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			err = read(filepath.Base(path), data)
			if err == nil {
				t.Fatal("accepted")
			}
			if kind := fault.Of(err); kind != fault.Invalid {
				t.Errorf("the error is %v, want %v", kind, fault.Invalid)
			}
			if problems := (spec.Errors)(nil); !errors.As(err, &problems) || len(problems) == 0 {
				t.Errorf("the error is no list of problems: %#v", err)
			}
			golden(t, strings.TrimSuffix(path, filepath.Ext(path))+".want", err.Error()+"\n")
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
