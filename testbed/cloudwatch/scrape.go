package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Namespace holds the metrics that a Scraper publishes; it is the one that the
// App Mesh pipelines of the AWS blog used.
const Namespace = "EnvoyPrometheus/ResponseCode"

// A Scraper reads counters and publishes what was added to them since it read
// them last, as the CloudWatch agent does: a counter that it sees for the first
// time yields nothing, and one that fell has begun anew.
//
// It publishes, in Namespace, per service and class of status
//
//	2xx-SERVICE 3xx-SERVICE 4xx-SERVICE 5xx-SERVICE
//
// without dimensions, over all versions, as the AWS blog's metric filters did;
// and the same names with the dimensions ClusterName, Namespace, Service and
// Version. A class that nothing was added to is published as 0; a service none
// of whose sources answered is not published at all.
type Scraper struct {
	Server  *Server
	Cluster string // dimension ClusterName
	// Sources are asked for before each round.
	Sources func(context.Context) ([]Source, error)
	// Failed hears of endpoints that did not answer; the others are still read.
	Failed func(error)

	seen map[string]float64 // counter -> value
}

var classes = []string{"2xx", "3xx", "4xx", "5xx"}

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
	// What was added in this round; Code holds a class, and services have no Version.
	versions, services := map[Requests]float64{}, map[Requests]float64{}
	var failed []error
	for _, src := range sources {
		found, err := src.scrape(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("scrape: %w", err))
			continue
		}
		for _, c := range found {
			added := s.added(src.URL+" "+c.key, c.value)
			for _, class := range classes {
				r := c.requests
				n := 0.0
				if r.Code != "" && r.Code[:1] == class[:1] {
					n = added
				}
				r.Code = class
				versions[r] += n
				r.Version = ""
				services[r] += n
			}
		}
	}
	return errors.Join(append(failed, s.publish(services, versions))...)
}

// added is what a counter grew by since it was read last.
func (s *Scraper) added(counter string, value float64) float64 {
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

func (s *Scraper) publish(services, versions map[Requests]float64) error {
	in := putMetricDataInput{Namespace: Namespace}
	for r, n := range services {
		in.MetricData = append(in.MetricData, metricDatum{MetricName: r.Code + "-" + r.Service, Value: &n})
	}
	for r, n := range versions {
		in.MetricData = append(in.MetricData, metricDatum{MetricName: r.Code + "-" + r.Service, Value: &n, Dimensions: []dimension{
			{"ClusterName", s.Cluster}, {"Namespace", r.Namespace}, {"Service", r.Service}, {"Version", r.Version}}})
	}
	for len(in.MetricData) > 0 {
		n := min(len(in.MetricData), maxData)
		if err := s.Server.putMetricData(putMetricDataInput{Namespace: Namespace, MetricData: in.MetricData[:n]}); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		in.MetricData = in.MetricData[n:]
	}
	return nil
}

// get fetches a page of metrics or targets.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := scraper.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return resp.Body, nil
}
