package prometheus_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// started runs Prometheus until the test ends, with these samples in it, and
// gives its address.
func started(t *testing.T, binary string, s *source) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("scrape_configs: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	var log strings.Builder
	run := exec.CommandContext(t.Context(), binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--storage.tsdb.retention.time=100y", "--web.listen-address="+address, "--web.enable-remote-write-receiver",
		"--web.external-url=http://"+address+"/prefix", "--query.lookback-delta="+lookback.String())
	run.Stderr = &log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Process.Kill(); _ = run.Wait() })
	base := "http://" + address + "/prefix"
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(base + "/-/ready")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			_ = run.Process.Kill()
			_ = run.Wait()
			t.Fatalf("prometheus is not ready: %v\n%s", err, log.String())
		}
	}
	s.write(t, base+"/api/v1/write")
	return base
}

// write sends the samples by Prometheus' remote write protocol, version 0.1.0
// (https://prometheus.io/docs/specs/prw/remote_write_spec/).
func (s *source) write(t *testing.T, to string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, bytes.NewReader(snappy(s.protobuf(t))))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode >= 300 {
		t.Fatalf("remote write: %s: %s", res.Status, answer)
	}
}

// protobuf writes the message WriteRequest.
func (s *source) protobuf(t *testing.T) []byte {
	t.Helper()
	field := func(b []byte, n protowire.Number, message []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), message)
	}
	var request []byte
	for _, x := range s.series {
		var series []byte
		for _, name := range slices.Sorted(maps.Keys(x.labels)) {
			series = field(series, 1, field(field(nil, 1, []byte(name)), 2, []byte(x.labels[name])))
		}
		for _, v := range x.samples {
			value, err := strconv.ParseFloat(v.value, 64)
			if err != nil {
				t.Fatal(err)
			}
			sample := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(value))
			sample = protowire.AppendVarint(protowire.AppendTag(sample, 2, protowire.VarintType), uint64(v.at.UnixMilli()))
			series = field(series, 2, sample)
		}
		request = field(request, 1, series)
	}
	return request
}

// snappy writes the block format without compressing: literals only.
func snappy(data []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(data)))
	for chunk := range slices.Chunk(data, 1<<16) {
		out = append(out, 61<<2)
		out = binary.LittleEndian.AppendUint16(out, uint16(len(chunk)-1))
		out = append(out, chunk...)
	}
	return out
}
