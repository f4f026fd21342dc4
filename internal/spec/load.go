package spec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A File is a service's deploy.json with the template that belongs to it.
type File struct {
	// Path is the document's file.
	Path string
	// TemplatePath is the template's file; empty where the document has config_file.
	TemplatePath string
	Spec         Spec
	// Raw is the document as JSON, completed with config_file: the input of an execution.
	Raw []byte
}

// Load reads a service's folder, or the document itself, with the template
// beside it, and checks both. An error about their content is of type Errors.
func Load(path string) (File, error) {
	path, err := locate(path, "deploy.json", "deploy.yml", "deploy.yaml")
	if err != nil {
		return File{}, err
	}
	f := File{Path: path}
	data, err := readFile(path)
	if err != nil {
		return File{}, err
	}
	if f.Spec, err = Parse(path, data); err != nil {
		return File{}, err
	}
	if err := f.addTemplate(); err != nil {
		return File{}, err
	}
	fields := map[string]any{"config_file": f.Spec.ConfigFile}
	if f.Raw, err = complete(path, data, fields); err != nil {
		return File{}, err
	}
	_, err = f.Spec.Template()
	return f, err
}

// WithImage gives the same file for another image, as a pipeline's build or a
// person at a terminal names it.
func (f File) WithImage(image string) (File, error) {
	if want := imageProblem(image); want != "" {
		return f, Errors{{File: f.Path, Path: "container_image", Found: fmt.Sprintf("%q", brief(image)), Want: want}}
	}
	f.Spec.Image = image
	var err error
	f.Raw, err = complete(f.Path, f.Raw, map[string]any{"container_image": image})
	return f, err
}

// locate finds a service's document: path itself, or one of the names in it.
func locate(path string, names ...string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read a service: %w: %w", fault.Invalid, err)
	}
	if !info.IsDir() {
		return path, nil
	}
	var found []string
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			found = append(found, filepath.Join(path, name))
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", Errors{{File: path, Found: "no " + names[0], Want: "it, or " + names[1]}}
	}
	return "", Errors{{File: path, Found: strings.Join(found, " and "), Want: "one of them"}}
}

// readFile reads at most what readSource accepts.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a service: %w: %w", fault.Invalid, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read a service: %w: %w", fault.Invalid, err)
	}
	if len(data) > maxFile {
		return nil, Errors{{File: path, Found: fmt.Sprintf("more than %d bytes", maxFile), Want: "no more: it would not fit into Step Functions"}}
	}
	return data, nil
}

// addTemplate takes the template beside the document into config_file.
func (f *File) addTemplate() error {
	beside := filepath.Join(filepath.Dir(f.Path), "kubernetes_template.yml")
	data, err := readFile(beside)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.Spec.ConfigFile != "":
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return Errors{{File: f.Path, Path: "config_file", Found: "nothing, and no kubernetes_template.yml beside it", Want: "one of the two"}}
	case err != nil:
		return err
	}
	if f.Spec.ConfigFile != "" {
		inside, err := decodeTemplate(f.Spec.ConfigFile)
		if err == nil && !bytes.Equal(inside, data) {
			return Errors{{File: f.Path, Path: "config_file", Found: "a template other than " + beside, Want: "one template"}}
		}
		return err
	}
	f.TemplatePath, f.Spec.TemplatePath = beside, beside
	f.Spec.ConfigFile = base64.StdEncoding.EncodeToString(data)
	return nil
}

// complete gives a document as JSON with some fields set, and holds it against
// the limit on an execution's input.
func complete(name string, data []byte, fields map[string]any) ([]byte, error) {
	src, err := readSource(name, data)
	if err != nil {
		return nil, err
	}
	var problems Errors
	doc, ok := src.values(src.docs[0], nil, &problems).(map[string]any)
	if err := problems.err(); err != nil || !ok {
		return nil, err
	}
	delete(doc, "$schema")
	for k, v := range fields {
		doc[k] = v
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, fault.Internal, err)
	}
	if out.Len() > MaxInput {
		return nil, Errors{{File: name, Found: fmt.Sprintf("%d bytes with the template in config_file", out.Len()), Want: fmt.Sprintf("at most %d, of which a rollout fits into Step Functions", MaxInput)}}
	}
	return out.Bytes(), nil
}
