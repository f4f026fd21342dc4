package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// images finds the executables that stand for container images.
type images struct {
	dir string

	mu      sync.Mutex
	digests map[string]digest // by executable
}

type digest struct {
	of  os.FileInfo
	sum string
}

func newImages(dir string) *images { return &images{dir: dir, digests: map[string]digest{}} }

// An image is one that was found.
type image struct {
	path    string // of the executable
	version string // what the reference asks for: the tag, or the digest
	id      string // names the bytes of the executable
}

// pull finds the executable for an image reference. Registry and path before
// the last slash say where a cluster would pull from and do not matter here.
func (i *images) pull(reference string) (image, error) {
	name, version := splitReference(reference)
	file := filepath.Join(i.dir, name)
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return image{}, fmt.Errorf("image %q: no executable %q in the bed's image directory", reference, name)
	}
	sum, err := i.digest(file, info)
	if err != nil {
		return image{}, fmt.Errorf("image %q: %w", reference, err)
	}
	return image{path: file, version: version, id: name + "@sha256:" + sum}, nil
}

// splitReference takes REGISTRY/PATH/NAME:TAG@DIGEST apart.
func splitReference(reference string) (name, version string) {
	rest, digest, _ := strings.Cut(reference, "@")
	name, tag, tagged := strings.Cut(path.Base(rest), ":")
	switch {
	case tagged:
		return name, tag
	case digest != "":
		return name, digest
	}
	return name, "latest"
}

// digest is the SHA-256 of an executable, computed once for each version of it.
func (i *images) digest(file string, info os.FileInfo) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if d, ok := i.digests[file]; ok && os.SameFile(d.of, info) && d.of.ModTime().Equal(info.ModTime()) {
		return d.sum, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	i.digests[file] = digest{of: info, sum: sum}
	return sum, nil
}
