package local

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// Events repeat themselves: a state's output is the next one's input. They are
// stored as compressed JSON.

var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is valid
	}
	return w
}}

func packEvents(events []asl.HistoryEvent) ([]byte, error) {
	data, err := json.Marshal(events)
	if err != nil {
		return nil, err
	}
	return pack(data)
}

func pack(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&b)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(b.Bytes()), nil
}

func unpack(block []byte) ([]byte, error) {
	data, err := io.ReadAll(flate.NewReader(bytes.NewReader(block)))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return data, nil
}

func unpackEvents(block []byte) ([]asl.HistoryEvent, error) {
	data, err := unpack(block)
	if err != nil {
		return nil, err
	}
	var events []asl.HistoryEvent
	err = json.Unmarshal(data, &events)
	return events, err
}
