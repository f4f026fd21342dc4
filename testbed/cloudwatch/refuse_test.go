package cloudwatch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	"github.com/stepcanary/stepcanary/testbed/cloudwatch"
)

func TestRefusals(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	for name, tt := range map[string]struct {
		change func(*sdk.GetMetricDataInput)
		code   string
		want   string
	}{
		"a window that is empty":  {func(in *sdk.GetMetricDataInput) { in.EndTime = in.StartTime }, "ValidationError", "StartTime must be less"},
		"an id that begins wrong": {func(in *sdk.GetMetricDataInput) { in.MetricDataQueries[0].Id = aws.String("Q") }, "ValidationError", `id "Q"`},
		"an id that comes twice": {func(in *sdk.GetMetricDataInput) {
			in.MetricDataQueries = append(in.MetricDataQueries, in.MetricDataQueries[0])
		}, "ValidationError", "not unique"},
		"metric math":      {func(in *sdk.GetMetricDataInput) { in.MetricDataQueries[0].Expression = aws.String("a/b") }, "ValidationError", "raw series only"},
		"an odd period":    {func(in *sdk.GetMetricDataInput) { in.MetricDataQueries[0].MetricStat.Period = aws.Int32(45) }, "ValidationError", "period 45"},
		"an odd statistic": {func(in *sdk.GetMetricDataInput) { in.MetricDataQueries[0].MetricStat.Stat = aws.String("sum") }, "ValidationError", `statistic "sum"`},
		"a trimmed count by share": {func(in *sdk.GetMetricDataInput) {
			in.MetricDataQueries[0].MetricStat.Stat = aws.String("TC(10%:90%)")
		}, "ValidationError", `statistic "TC(10%:90%)"`},
		"a token of nobody": {func(in *sdk.GetMetricDataInput) { in.NextToken = aws.String("x") }, "InvalidNextToken", "invalid"},
		"an unknown member": {func(in *sdk.GetMetricDataInput) { in.LabelOptions = &types.LabelOptions{Timezone: aws.String("+0000")} }, "ValidationError", "LabelOptions"},
		"another's account": {func(in *sdk.GetMetricDataInput) { in.MetricDataQueries[0].AccountId = aws.String("1") }, "ValidationError", "AccountId"},
		"too many points":   {func(in *sdk.GetMetricDataInput) { in.MaxDatapoints = aws.Int32(200_000) }, "ValidationError", "MaxDatapoints"},
		"a unit to go by":   {func(in *sdk.GetMetricDataInput) { in.MetricDataQueries[0].MetricStat.Unit = types.StandardUnitCount }, "ValidationError", "unit"},
		"too many queries": {func(in *sdk.GetMetricDataInput) {
			for i := range 500 {
				in.MetricDataQueries = append(in.MetricDataQueries, query(fmt.Sprintf("q%d", i), "m", "Sum"))
			}
		}, "ValidationError", "must not have a size greater than 500"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &sdk.GetMetricDataInput{MetricDataQueries: []types.MetricDataQuery{query("q", "m", "Sum")},
				StartTime: aws.Time(noon), EndTime: aws.Time(noon.Add(time.Minute))}
			tt.change(in)
			_, err := b.client.GetMetricData(t.Context(), in)
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != tt.code || !strings.Contains(api.ErrorMessage(), tt.want) {
				t.Errorf("GetMetricData error = %v; want %s with %q", err, tt.code, tt.want)
			}
		})
	}
}

func TestBadDataAreRefusedWhole(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	good := types.MetricDatum{MetricName: aws.String("m"), Value: aws.Float64(1)}
	for name, bad := range map[string]types.MetricDatum{
		"no value":         {MetricName: aws.String("m")},
		"two ways at once": {MetricName: aws.String("m"), Value: aws.Float64(1), Values: []float64{1}},
		"too old":          {MetricName: aws.String("m"), Value: aws.Float64(1), Timestamp: aws.Time(noon.AddDate(0, -1, 0))},
		"in the future":    {MetricName: aws.String("m"), Value: aws.Float64(1), Timestamp: aws.Time(noon.Add(3 * time.Hour))},
		"counts missing":   {MetricName: aws.String("m"), Values: []float64{1, 2}, Counts: []float64{1}},
		"odd resolution":   {MetricName: aws.String("m"), Value: aws.Float64(1), StorageResolution: aws.Int32(10)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.client.PutMetricData(t.Context(), &sdk.PutMetricDataInput{Namespace: aws.String("EnvoyPrometheus/ResponseCode"), MetricData: []types.MetricDatum{good, bad}})
			var api smithy.APIError
			if !errors.As(err, &api) || !strings.Contains(api.ErrorMessage(), "MetricData.member.2") {
				t.Errorf("PutMetricData error = %v; want one about the second datum", err)
			}
		})
	}
	out, err := b.get(t, query("q", "m", "Sum"))
	if err != nil || len(out.MetricDataResults[0].Values) != 0 {
		t.Errorf("after refused requests: %+v, %v; want nothing kept", out, err)
	}
}
