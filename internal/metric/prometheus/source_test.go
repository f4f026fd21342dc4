package prometheus_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
)

// A source is a set of series with their samples, as a Prometheus has scraped
// them, and answers the part of its API that the meter uses.
type source struct {
	series []*recorded
}

type recorded struct {
	labels  map[string]string
	samples []sample
}

type sample struct {
	at    time.Time
	value string
}

// lookback is how old a sample may be that still answers for a moment.
const lookback = 30 * time.Second

// add notes a value of the series with these labels, name included.
func (s *source) add(labels map[string]string, at time.Time, value string) {
	i := slices.IndexFunc(s.series, func(x *recorded) bool { return maps.Equal(x.labels, labels) })
	if i < 0 {
		i = len(s.series)
		s.series = append(s.series, &recorded{labels: labels})
	}
	s.series[i].samples = append(s.series[i].samples, sample{at, value})
}

// traefik names a back end as Traefik does.
func traefik(service, version string) string {
	return "httproute-shop-" + service + "-gw-shop-edge-ep-web-0-0123456789abcdef0123-svc-shop-" + version + "-0@kubernetesgateway"
}

// told is a source that tells the model, by Traefik's counters. The versions
// that are known from the beginning have been counted for a while before.
func told(m metrictest.Model) *source {
	s := &source{}
	for _, version := range m.Names() {
		service := metrictest.Service(version)
		if version == "checkout-12" || version == "checkout-20" || version == "checkout-2-1" {
			service = "checkout"
		}
		c := counters{source: s, backend: traefik(service, version), values: map[string]int64{}}
		row := m.Versions[version]
		if len(row) > 0 && row[0].Known {
			c.rise("200", 12345, 400, 30)
			for before := 12; before >= 0; before-- {
				c.scrape(metrictest.Start.Add(-time.Duration(before) * metrictest.Every))
			}
		}
		for i, n := range row {
			if !n.Known {
				continue
			}
			failedSlow := [2]int64{min(n.Slow[0], n.Errors), min(n.Slow[1], n.Errors)}
			c.rise("200", n.Requests-n.Errors, n.Slow[0]-failedSlow[0], n.Slow[1]-failedSlow[1])
			c.rise("500", n.Errors, failedSlow[0], failedSlow[1])
			c.scrape(metrictest.Start.Add(time.Duration(i+1) * metrictest.Every))
		}
	}
	return s
}

// counters are those of one back end. Like Traefik's, a series begins with the
// first request of its kind.
type counters struct {
	source  *source
	backend string
	values  map[string]int64
}

func (c counters) rise(code string, requests, above100ms, above1s int64) {
	if requests == 0 {
		return
	}
	c.values[code+" "] += requests
	c.values[code+" 0.1"] += requests - above100ms
	c.values[code+" 0.5"] += requests - above100ms
	c.values[code+" 1.0"] += requests - above1s
	c.values[code+" +Inf"] += requests
}

func (c counters) scrape(at time.Time) {
	for key, value := range c.values {
		code, le, _ := strings.Cut(key, " ")
		labels := map[string]string{"code": code, "method": "GET", "protocol": "http", "service": c.backend}
		labels["__name__"] = "traefik_service_requests_total"
		if le != "" {
			labels["__name__"] = "traefik_service_request_duration_seconds_bucket"
			labels["le"] = le
		}
		c.source.add(labels, at, strconv.FormatInt(value, 10))
	}
}

// at gives the value of a series at a moment.
func (x *recorded) at(t time.Time) (string, bool) {
	for _, v := range slices.Backward(x.samples) {
		if !v.at.After(t) {
			return v.value, t.Sub(v.at) < lookback
		}
	}
	return "", false
}

var matcher = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)("(?:[^"\\]|\\.)*")`)

// selects tells whether a selector such as a{b="c"} takes the series.
func selects(selector string, labels map[string]string) bool {
	name, conditions, _ := strings.Cut(selector, "{")
	if labels["__name__"] != name {
		return false
	}
	for _, m := range matcher.FindAllStringSubmatch(conditions, -1) {
		value, err := strconv.Unquote(m[3])
		if err != nil {
			panic(err)
		}
		if strings.HasSuffix(m[2], "~") {
			value = "^(?:" + value + ")$"
		} else {
			value = "^" + regexp.QuoteMeta(value) + "$"
		}
		if regexp.MustCompile(value).MatchString(labels[m[1]]) == strings.HasPrefix(m[2], "!") {
			return false
		}
	}
	return true
}

// ServeHTTP answers query_range for a selector, and query for
// count by (le) (selector).
func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		http.Error(w, "POST a form", http.StatusBadRequest)
		return
	}
	var result any
	kind := "matrix"
	switch r.URL.Path {
	case "/prefix/api/v1/query_range":
		result = s.rangeOf(r.Form)
	case "/prefix/api/v1/query":
		kind, result = "vector", s.bounds(r.Form)
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": kind, "result": result}})
}

func moment(s string) time.Time {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return time.UnixMilli(int64(f*1000 + 0.5)).UTC()
}

func (s *source) rangeOf(form url.Values) any {
	result := []any{}
	step, err := strconv.ParseFloat(form.Get("step"), 64)
	if err != nil {
		panic(err)
	}
	for _, x := range s.series {
		if !selects(form.Get("query"), x.labels) {
			continue
		}
		var values [][2]any
		for t := moment(form.Get("start")); !t.After(moment(form.Get("end"))); t = t.Add(time.Duration(step * float64(time.Second))) {
			if v, ok := x.at(t); ok {
				values = append(values, [2]any{float64(t.UnixMilli()) / 1000, v})
			}
		}
		if len(values) > 0 {
			result = append(result, map[string]any{"metric": x.labels, "values": values})
		}
	}
	return result
}

func (s *source) bounds(form url.Values) any {
	selector, ok := strings.CutPrefix(form.Get("query"), "count by (le) (")
	if !ok {
		panic(fmt.Sprintf("query %q", form.Get("query")))
	}
	les := map[string]bool{}
	for _, x := range s.series {
		if _, ok := x.at(moment(form.Get("time"))); ok && selects(strings.TrimSuffix(selector, ")"), x.labels) {
			les[x.labels["le"]] = true
		}
	}
	result := []any{}
	for le := range les {
		result = append(result, map[string]any{"metric": map[string]string{"le": le}, "value": [2]any{0, "1"}})
	}
	return result
}
