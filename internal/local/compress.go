package local

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"
)

var compressors = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is valid
	}
	return w
}}

func compress(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	w.Reset(&b)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(b.Bytes()), nil
}

// maxBlock is more than a block ever holds.
const maxBlock = 64 << 20

var decompressors = sync.Pool{New: func() any { return flate.NewReader(nil) }}

func decompress(block []byte) ([]byte, error) {
	r := decompressors.Get().(io.ReadCloser)
	defer decompressors.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(block), nil); err != nil {
		return nil, fmt.Errorf("%w: %w", errPacked, err)
	}
	var b bytes.Buffer
	b.Grow(8 * len(block)) // about what events give
	if _, err := b.ReadFrom(io.LimitReader(r, maxBlock+1)); err != nil {
		return nil, fmt.Errorf("%w: %w", errPacked, err)
	}
	if b.Len() > maxBlock {
		return nil, fmt.Errorf("%w: a block has more than %d bytes", errPacked, maxBlock)
	}
	return b.Bytes(), nil
}
