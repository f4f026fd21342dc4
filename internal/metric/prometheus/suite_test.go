package prometheus_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
	"github.com/stepcanary/stepcanary/internal/metric/prometheus"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

const lag = 5 * time.Second

func opened(t *testing.T, address string, now time.Time) *prometheus.Meter {
	t.Helper()
	set, err := queries.OpenPrometheus("traefik")
	if err != nil {
		t.Fatal(err)
	}
	meter, err := prometheus.New(prometheus.Options{Address: address, Queries: set, Lag: lag, Clock: clock.NewVirtual(now)})
	if err != nil {
		t.Fatal(err)
	}
	return meter
}

func TestMeter(t *testing.T) {
	metrictest.Run(t, func(t *testing.T, m metrictest.Model) metric.Meter {
		server := httptest.NewServer(told(m))
		t.Cleanup(server.Close)
		return opened(t, server.URL+"/prefix/", m.Now(lag))
	})
}

// TestMeterOnPrometheus runs the suite on a real Prometheus, whose storage is
// written by its promtool.
func TestMeterOnPrometheus(t *testing.T) {
	binary := os.Getenv("STEPCANARY_TEST_PROMETHEUS")
	if binary == "" {
		t.Skip("STEPCANARY_TEST_PROMETHEUS does not name a prometheus program with promtool beside it")
	}
	metrictest.Run(t, func(t *testing.T, m metrictest.Model) metric.Meter {
		return opened(t, started(t, binary, told(m))+"/prefix", m.Now(lag))
	})
}

// started runs Prometheus on these samples until the test ends.
func started(t *testing.T, binary string, s *source) string {
	t.Helper()
	dir := t.TempDir()
	text := filepath.Join(dir, "samples.om")
	storage := filepath.Join(dir, "data")
	if err := os.WriteFile(text, []byte(s.openMetrics()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(storage, 0o700); err != nil {
		t.Fatal(err)
	}
	if len(s.series) > 0 {
		tool := filepath.Join(filepath.Dir(binary), "promtool")
		if out, err := exec.CommandContext(t.Context(), tool, "tsdb", "create-blocks-from", "openmetrics", text, storage).CombinedOutput(); err != nil {
			t.Fatalf("promtool: %v\n%s", err, out)
		}
	}
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
	run := exec.CommandContext(t.Context(), binary, "--config.file="+config, "--storage.tsdb.path="+storage,
		"--storage.tsdb.retention.time=100y", "--web.listen-address="+address,
		"--web.external-url=http://"+address+"/prefix", "--query.lookback-delta="+lookback.String())
	run.Stderr = &log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Process.Kill(); _ = run.Wait() })
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get("http://" + address + "/prefix/-/ready"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return "http://" + address
			}
		}
	}
	_ = run.Process.Kill()
	_ = run.Wait()
	t.Fatalf("prometheus is not ready:\n%s", log.String())
	return ""
}

// openMetrics writes the samples in the text format.
func (s *source) openMetrics() string {
	var b strings.Builder
	for _, x := range s.series {
		var labels []string
		for k, v := range x.labels {
			if k != "__name__" {
				labels = append(labels, fmt.Sprintf("%s=%q", k, v))
			}
		}
		for _, v := range x.samples {
			fmt.Fprintf(&b, "%s{%s} %s %d\n", x.labels["__name__"], strings.Join(labels, ","), v.value, v.at.Unix())
		}
	}
	return b.String() + "# EOF\n"
}
