package queries

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

// A Stat is one series of CloudWatch: a metric and what to take of it each
// minute, in CloudWatch's words: Sum, SampleCount, TC(0.3:).
type Stat struct {
	Namespace  string
	Metric     string
	Dimensions map[string]string
	Stat       string
}

// A CloudWatch is a set for CloudWatch.
type CloudWatch struct {
	Name string
	// Unscoped says that the source does not tell the versions apart: the counts
	// of the whole service stand for the canary's, and stable has none. Nothing can
	// be compared then, limits alone judge, and a plan says so.
	Unscoped bool
	// Namespace is CloudWatch's, which a configuration may replace.
	Namespace string
	// Where is a sentence for people on where the requests are counted.
	Where string
	// Targets are the target groups by version, as in the dimension TargetGroup,
	// and LoadBalancer the load balancer's: what the set alb needs.
	Targets      map[string]string
	LoadBalancer string

	requests, errors []string
	latency          string
	dimensions       func(c CloudWatch, s metric.Subject, version string) (map[string]string, error)
	perService       bool
}

var cloudwatchSets = map[string]CloudWatch{
	// The metric filters of the blog's pipeline: a name for each service, no dimensions.
	"ancestor": {
		Unscoped: true, Namespace: "EnvoyPrometheus/ResponseCode",
		Where:    "by log metric filters over all versions of the service",
		requests: []string{"2xx-", "5xx-"}, errors: []string{"5xx-"}, perService: true,
		dimensions: func(CloudWatch, metric.Subject, string) (map[string]string, error) { return nil, nil },
	},
	"stepcanary": {
		Namespace: "Stepcanary",
		Where:     "by metrics with the dimensions ClusterName, Namespace, Service, Version",
		requests:  []string{"RequestCount"}, errors: []string{"ErrorCount"}, latency: "ResponseTime",
		dimensions: func(_ CloudWatch, s metric.Subject, version string) (map[string]string, error) {
			if s.Cluster == "" {
				return nil, fmt.Errorf("queries %q: %w: the dimension ClusterName needs cluster_name", "stepcanary", fault.Invalid)
			}
			return map[string]string{"ClusterName": s.Cluster, "Namespace": s.Namespace, "Service": s.Service, "Version": version}, nil
		},
	},
	"alb": {
		Namespace: "AWS/ApplicationELB",
		Where:     "by the load balancer, per target group",
		requests:  []string{"RequestCount"}, errors: []string{"HTTPCode_Target_5XX_Count"}, latency: "TargetResponseTime",
		dimensions: func(c CloudWatch, _ metric.Subject, version string) (map[string]string, error) {
			group := c.Targets[version]
			if group == "" || c.LoadBalancer == "" {
				return nil, fmt.Errorf("queries %q: %w: version %q needs load_balancer and its entry in target_groups", "alb", fault.Invalid, version)
			}
			return map[string]string{"LoadBalancer": c.LoadBalancer, "TargetGroup": group}, nil
		},
	},
}

// OpenCloudWatch gives the set of this name, the default for an empty one. The
// error of an unknown name, of kind fault.Invalid, lists those that are known.
func OpenCloudWatch(name string) (CloudWatch, error) {
	if name == "" {
		name = DefaultCloudWatch
	}
	set, ok := cloudwatchSets[name]
	if !ok {
		return CloudWatch{}, unknown(name, "cloudwatch", slices.Sorted(maps.Keys(cloudwatchSets)))
	}
	set.Name = name
	return set, nil
}

// Stats are the series of one version. Requests and Errors are to be added up.
type Stats struct {
	Requests, Errors []Stat
	// Slow has one series for each bound, counting what took longer, and Timed the
	// one that counts all response times: where that has a point and a slow one has
	// none, nothing was slow. Both are nil where the set has no response times.
	Slow, Timed []Stat
}

// Version gives the series of one version, with slow counts above the bounds in
// seconds: CloudWatch's trimmed count. Errors are of kind fault.Invalid.
func (c CloudWatch) Version(s metric.Subject, version string, bounds []float64) (Stats, error) {
	dims, err := c.dimensions(c, s, version)
	if err != nil {
		return Stats{}, err
	}
	stat := func(name, stat string) Stat {
		if c.perService {
			name += s.Service
		}
		return Stat{Namespace: c.Namespace, Metric: name, Dimensions: dims, Stat: stat}
	}
	var out Stats
	for _, name := range c.requests {
		out.Requests = append(out.Requests, stat(name, "Sum"))
	}
	for _, name := range c.errors {
		out.Errors = append(out.Errors, stat(name, "Sum"))
	}
	if c.latency != "" && len(bounds) > 0 {
		out.Timed = []Stat{stat(c.latency, "SampleCount")}
		for _, b := range bounds {
			out.Slow = append(out.Slow, stat(c.latency, "TC("+strconv.FormatFloat(b, 'f', -1, 64)+":)"))
		}
	}
	return out, nil
}

// Sorted gives the dimensions as pairs of name and value, in order of the names.
func (s Stat) Sorted() [][2]string {
	var out [][2]string
	for _, name := range slices.Sorted(maps.Keys(s.Dimensions)) {
		out = append(out, [2]string{name, s.Dimensions[name]})
	}
	return out
}
