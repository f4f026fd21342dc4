package cloudwatch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/smithy-go/encoding/cbor"
)

// A fake is CloudWatch behind the SDK's own client: it reads and writes the
// bytes of the protocol, Smithy RPC v2 CBOR.
type fake struct {
	mu sync.Mutex
	// points are by namespace/metric{dimensions} stat.
	points map[string]map[time.Time]float64
	// pageSize is how many points a page has; 0 for all.
	pageSize int
	// bend changes an answer before it is written; nil leaves it.
	bend  func(cbor.Map)
	calls []cbor.Map
}

// client is the SDK's client on the fake, without tries of its own.
func (f *fake) client() *cloudwatch.Client {
	return cloudwatch.New(cloudwatch.Options{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI", ""),
		HTTPClient: f, Retryer: aws.NopRetryer{},
	})
}

// Do answers one request.
func (f *fake) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" || !strings.HasSuffix(r.URL.Path, "/operation/GetMetricData") ||
		!strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/monitoring/aws4_request") {
		return nil, fmt.Errorf("unexpected request %s %s", r.URL, r.Header)
	}
	value, err := cbor.Decode(body)
	if err != nil {
		return nil, err
	}
	in := value.(cbor.Map)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, in)
	out, err := f.answer(in)
	if err != nil {
		return nil, err
	}
	if f.bend != nil {
		f.bend(out)
	}
	return reply(http.StatusOK, cbor.Encode(out)), nil
}

func reply(status int, body []byte) *http.Response {
	h := http.Header{"Smithy-Protocol": {"rpc-v2-cbor"}, "Content-Type": {"application/cbor"}}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
}

func (f *fake) answer(in cbor.Map) (cbor.Map, error) {
	start, err1 := cbor.AsTime(in["StartTime"])
	end, err2 := cbor.AsTime(in["EndTime"])
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	offset := 0
	if token, ok := in["NextToken"].(cbor.String); ok {
		offset, _ = strconv.Atoi(string(token))
	}
	results, more := cbor.List{}, false
	for _, v := range in["MetricDataQueries"].(cbor.List) {
		q := v.(cbor.Map)
		stat := q["MetricStat"].(cbor.Map)
		m := stat["Metric"].(cbor.Map)
		dims := map[string]string{}
		if list, ok := m["Dimensions"].(cbor.List); ok {
			for _, d := range list {
				dims[string(d.(cbor.Map)["Name"].(cbor.String))] = string(d.(cbor.Map)["Value"].(cbor.String))
			}
		}
		points := f.points[key(string(m["Namespace"].(cbor.String)), string(m["MetricName"].(cbor.String)), string(stat["Stat"].(cbor.String)), dims)]
		times := slices.SortedFunc(maps.Keys(points), time.Time.Compare)
		times = slices.DeleteFunc(times, func(t time.Time) bool { return t.Before(start.Truncate(time.Minute)) || !t.Before(end) })
		status := "Complete"
		if times = times[min(offset, len(times)):]; f.pageSize > 0 && len(times) > f.pageSize {
			times, more, status = times[:f.pageSize], true, "PartialData"
		}
		timestamps, values := cbor.List{}, cbor.List{}
		for _, t := range times {
			timestamps = append(timestamps, &cbor.Tag{ID: 1, Value: cbor.Float64(float64(t.Unix()))})
			values = append(values, cbor.Float64(points[t]))
		}
		results = append(results, cbor.Map{"Id": q["Id"], "Label": cbor.String("x"), "StatusCode": cbor.String(status), "Timestamps": timestamps, "Values": values})
	}
	out := cbor.Map{"MetricDataResults": results}
	if more {
		out["NextToken"] = cbor.String(strconv.Itoa(offset + f.pageSize))
	}
	return out, nil
}

func key(namespace, name, stat string, dims map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(dims)) {
		pairs = append(pairs, k+"="+dims[k])
	}
	return namespace + "/" + name + "{" + strings.Join(pairs, ",") + "} " + stat
}

// put notes a point, unless it is NaN.
func (f *fake) put(k string, at time.Time, v float64) {
	if math.IsNaN(v) {
		return
	}
	if f.points == nil {
		f.points = map[string]map[time.Time]float64{}
	}
	if f.points[k] == nil {
		f.points[k] = map[time.Time]float64{}
	}
	f.points[k][at] = v
}
