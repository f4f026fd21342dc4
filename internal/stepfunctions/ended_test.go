package stepfunctions_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/stepcanary/stepcanary/internal/stepfunctions"
)

const (
	unknown  = `{"__type": "ExecutionDoesNotExist", "message": "Execution Does Not Exist"}`
	runs     = `{"status": "RUNNING"}`
	redriven = `{"status": "PENDING_REDRIVE"}`
	stopped  = `{"status": "ABORTED"}`
	badARN   = `{"__type": "InvalidArn", "message": "Invalid Arn"}`
)

// says answers with one body after the other, the last one for ever.
type says []string

func (s *says) Do(*http.Request) (*http.Response, error) {
	body := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	code := http.StatusOK
	if strings.Contains(body, "__type") {
		code = http.StatusBadRequest
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// An execution that has just begun may be unknown for a moment: it has not ended.
func TestWhatIsUnknownForAMomentHasNotEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		says  says
		ended bool
	}{
		"runs":                     {says{runs}, false},
		"stopped":                  {says{stopped}, true},
		"about to be redriven":     {says{redriven}, false},
		"unknown":                  {says{unknown}, true},
		"unknown for a moment":     {says{unknown, runs}, false},
		"unknown, and over by now": {says{unknown, stopped}, true},
		"no execution at all":      {says{badARN}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := stepfunctions.New(sfn.New(sfn.Options{
					Region: "us-east-1", BaseEndpoint: aws.String("http://localhost"), HTTPClient: &tt.says,
					Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
				}))
				if ended, err := c.Ended(t.Context(), "arn:x"); err != nil || ended != tt.ended {
					t.Errorf("Ended() = %t, %v; want %t", ended, err, tt.ended)
				}
			})
		})
	}
}
