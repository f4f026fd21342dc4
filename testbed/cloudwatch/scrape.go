package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Namespaces that a Scraper publishes in.
const (
	// AncestorNamespace is the one of the AWS blog's App Mesh pipelines.
	AncestorNamespace = "EnvoyPrometheus/ResponseCode"
	// VersionNamespace has the metrics that tell versions apart.
	VersionNamespace = "Stepcanary"
)

// A Scraper reads counters and publishes what was added to them since it read
// them last, as the CloudWatch agent does: a counter that it sees for the first
// time yields nothing, and one that fell has begun anew.
//
// In AncestorNamespace it publishes, per service and class of status over all
// versions and without dimensions, as the blog's metric filters did,
//
//	2xx-SERVICE 3xx-SERVICE 4xx-SERVICE 5xx-SERVICE
//
// and in VersionNamespace, with the dimensions ClusterName, Namespace, Service
// and Version,
//
//	RequestCount  all answers
//	ErrorCount    those with 5xx
//	ResponseTime  seconds, each counted at its histogram bucket's upper bound
//
// A count that nothing was added to is published as 0; what none of the sources
// counts, or could be read, is not published at all.
type Scraper struct {
	Server  *Server
	Cluster string // dimension ClusterName
	// Sources are asked for before each round. A version whose requests several
	// kinds of counter count, as its Envoys and its pods do, is published from the
	// kind that is listed first, or each request would count twice.
	Sources func(context.Context) ([]Source, error)
	// Failed hears of endpoints that did not answer; the others are still read.
	Failed func(error)

	seen map[string]float64 // counter -> value
}

// Run scrapes at once and then each interval until ctx is done.
func (s *Scraper) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Once(ctx); err != nil && s.Failed != nil && ctx.Err() == nil {
			s.Failed(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Once reads all sources and publishes what was added. Its error joins what
// could not be read; the rest has been published.
func (s *Scraper) Once(ctx context.Context) error {
	sources, err := s.Sources(ctx)
	if err != nil {
		return fmt.Errorf("list sources: %w", err)
	}
	if s.seen == nil {
		s.seen = map[string]float64{}
	}
	added := round{}
	var failed []error
	for _, src := range sources {
		found, err := src.scrape(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("scrape: %w", err))
			continue
		}
		for _, one := range found {
			added.add(src.Counter, one, s.grown(src.URL+" "+one.key, one.value))
		}
	}
	return errors.Join(append(failed, s.publish(added))...)
}

// grown is what a counter grew by since it was read last.
func (s *Scraper) grown(counter string, value float64) float64 {
	last, known := s.seen[counter]
	s.seen[counter] = value
	switch {
	case !known:
		return 0
	case value < last:
		return value
	}
	return value - last
}

// A round is what was added to each version's counters.
type round map[Version]*counts

type counts struct {
	counter string     // the kind of counter that this is from
	counted bool       // a counter was seen, not only a histogram
	classes [6]float64 // by first digit of the status
	times   map[float64]float64
}

func (r round) add(counter string, one series, n float64) {
	c := r[one.requests.Version]
	if c == nil {
		c = &counts{counter: counter, times: map[float64]float64{}}
		r[one.requests.Version] = c
	}
	if c.counter != counter {
		return
	}
	if one.bound > 0 {
		c.times[one.bound] += n
		return
	}
	c.counted = true
	if code := one.requests.Code; code != "" && code[0] >= '1' && code[0] <= '5' {
		c.classes[code[0]-'0'] += n
	}
}

func (s *Scraper) publish(r round) error {
	services := map[string][6]float64{}
	var scoped []metricDatum
	for v, c := range r {
		dims := []dimension{{"ClusterName", s.Cluster}, {"Namespace", v.Namespace}, {"Service", v.Service}, {"Version", v.Name}}
		if c.counted {
			sum, total := services[v.Service], 0.0
			for i, n := range c.classes {
				sum[i] += n
				total += n
			}
			services[v.Service] = sum
			scoped = append(scoped, single("RequestCount", total, dims), single("ErrorCount", c.classes[5], dims))
		}
		if d := timesOf(c.times, dims); len(d.Values) > 0 {
			scoped = append(scoped, d)
		}
	}
	var all []metricDatum
	for name, classes := range services {
		for class := 2; class <= 5; class++ {
			all = append(all, single(fmt.Sprintf("%dxx-%s", class, name), classes[class], nil))
		}
	}
	return errors.Join(s.put(AncestorNamespace, all), s.put(VersionNamespace, scoped))
}

func single(name string, value float64, dims []dimension) metricDatum {
	return metricDatum{MetricName: name, Value: &value, Dimensions: dims}
}

// timesOf leaves out the bounds at which nothing was added.
func timesOf(times map[float64]float64, dims []dimension) metricDatum {
	d := metricDatum{MetricName: "ResponseTime", Dimensions: dims, Unit: "Seconds"}
	for _, bound := range slices.Sorted(maps.Keys(times)) {
		if n := times[bound]; n > 0 {
			d.Values, d.Counts = append(d.Values, bound), append(d.Counts, n)
		}
	}
	return d
}

// put publishes the data in as many calls as they need.
func (s *Scraper) put(namespace string, data []metricDatum) error {
	for some := range slices.Chunk(data, maxData) {
		if err := s.Server.putMetricData(putMetricDataInput{Namespace: namespace, MetricData: some}); err != nil {
			return fmt.Errorf("publish in %s: %w", namespace, err)
		}
	}
	return nil
}
