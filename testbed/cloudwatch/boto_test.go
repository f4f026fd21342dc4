package cloudwatch_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/testbed/cloudwatch"
)

// botoScript talks as an operator's own script would, and prints what it got.
const botoScript = `
import boto3, datetime
c = boto3.client('cloudwatch')
now = datetime.datetime.now(datetime.timezone.utc)
dims = [{'Name': 'Version', 'Value': 'yelb-2'}]
c.put_metric_data(Namespace='N', MetricData=[
    {'MetricName': 'm', 'Dimensions': dims, 'Timestamp': now, 'Value': 2},
    {'MetricName': 'm', 'Dimensions': dims, 'Timestamp': now, 'Values': [1.5, 3], 'Counts': [2, 1]}])
r = c.get_metric_data(StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=5), MetricDataQueries=[
    {'Id': s.lower(), 'MetricStat': {'Metric': {'Namespace': 'N', 'MetricName': 'm', 'Dimensions': dims}, 'Period': 60, 'Stat': s}}
    for s in ('Sum', 'SampleCount', 'Maximum')])
print([(x['Id'], x['StatusCode'], [float(v) for v in x['Values']]) for x in r['MetricDataResults']])
try:
    c.get_metric_data(StartTime=now, EndTime=now, MetricDataQueries=[])
except c.exceptions.ClientError as e:
    print(e.response['Error']['Code'])
`

func TestBoto3(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import boto3").CombinedOutput(); err != nil {
		if slices.Contains(strings.Fields(os.Getenv("STEPCANARY_WITNESSES")), "boto3") {
			t.Fatalf("the witness boto3 has to be here, says STEPCANARY_WITNESSES: %v %s", err, out)
		}
		t.Skipf("nothing is compared with the witness boto3: %v %s", err, out)
	}
	s, err := cloudwatch.Start(t.Context(), "127.0.0.1:0", cloudwatch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", botoScript)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL_CLOUDWATCH="+s.URL, "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=example", "AWS_EC2_METADATA_DISABLED=true")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("boto3: %v\n%s", err, out)
	}
	want := "[('sum', 'Complete', [8.0]), ('samplecount', 'Complete', [4.0]), ('maximum', 'Complete', [3.0])]\nValidationError\n"
	if string(out) != want {
		t.Errorf("boto3 printed\n%swant\n%s", out, want)
	}
}
