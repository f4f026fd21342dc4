package main

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"io"
	"os"
	"time"
)

// epoch is the time of every file in a zip. A file's own time would make each build's zip another.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// pack writes a zip that holds one executable file, and gives its size. A zip that is there
// already with the same bytes is left alone.
func pack(path, binary, name string) (int64, error) {
	in, err := os.Open(binary)
	if err != nil {
		return 0, fmt.Errorf("pack %s: %w", name, err)
	}
	defer in.Close()
	part := path + ".part"
	out, err := os.Create(part)
	if err != nil {
		return 0, fmt.Errorf("pack %s: %w", name, err)
	}
	defer os.Remove(part)
	if err := write(out, in, name); err != nil {
		return 0, fmt.Errorf("pack %s: %w", path, err)
	}
	if err := os.Rename(part, path); err != nil {
		return 0, fmt.Errorf("pack %s: %w", path, err)
	}
	st, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("pack %s: %w", path, err)
	}
	return st.Size(), nil
}

func write(out io.WriteCloser, in io.Reader, name string) error {
	z := zip.NewWriter(out)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return out.Close()
}
