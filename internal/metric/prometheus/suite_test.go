package prometheus_test

import (
	"net/http/httptest"
	"os"
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

// TestMeterOnPrometheus runs the suite on a real Prometheus, which is told
// the model by remote write.
func TestMeterOnPrometheus(t *testing.T) {
	binary := os.Getenv("STEPCANARY_TEST_PROMETHEUS")
	if binary == "" {
		t.Skip("STEPCANARY_TEST_PROMETHEUS does not name a prometheus program, such as the bed's")
	}
	metrictest.Run(t, func(t *testing.T, m metrictest.Model) metric.Meter {
		return opened(t, started(t, binary, told(m)), m.Now(lag))
	})
}
