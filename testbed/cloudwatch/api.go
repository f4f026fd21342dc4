package cloudwatch

import (
	"time"

	"github.com/fxamacker/cbor/v2"
)

// The types of the API's messages. A member that is not served, or not here,
// makes the request an error, because to leave it out of account would be a
// wrong answer.

type dimension struct{ Name, Value string }

type putMetricDataInput struct {
	Namespace  string
	MetricData []metricDatum

	EntityMetricData       any // refused
	StrictEntityValidation any // refused
}

type metricDatum struct {
	MetricName        string
	Dimensions        []dimension
	Timestamp         stamp
	Value             *float64
	StatisticValues   *statisticSet
	Values, Counts    []float64
	Unit              string
	StorageResolution int
}

type statisticSet struct{ SampleCount, Sum, Minimum, Maximum float64 }

type getMetricDataInput struct {
	MetricDataQueries  []metricDataQuery
	StartTime, EndTime stamp
	NextToken, ScanBy  string
	MaxDatapoints      int
	LabelOptions       any // refused
}

type metricDataQuery struct {
	Id         string //nolint:revive // the API's own spelling
	Label      string
	MetricStat *metricStat
	Expression string
	ReturnData *bool
	Period     any // of expressions: refused
	AccountId  any //nolint:revive // the API's own spelling; refused
}

type metricStat struct {
	Metric struct {
		Namespace, MetricName string
		Dimensions            []dimension
	}
	Period int
	Stat   string
	Unit   string
}

type getMetricDataOutput struct {
	MetricDataResults []metricDataResult
	Messages          []message
	NextToken         string `json:",omitempty"`
}

type metricDataResult struct {
	Id, Label  string //nolint:revive // the API's own spelling
	Timestamps []stamp
	Values     []float64
	StatusCode string
	Messages   []message
}

type message struct{ Code, Value string }

// A stamp is a time that travels as seconds since the epoch.
type stamp struct{ time.Time }

func at(seconds float64) stamp { return stamp{time.UnixMicro(int64(seconds * 1e6)).UTC()} }

func (s stamp) seconds() float64 { return float64(s.UnixMicro()) / 1e6 }

// MarshalJSON gives a number, as the protocol's default timestamp format asks.
func (s stamp) MarshalJSON() ([]byte, error) { return marshalJSON(s.seconds()) }

func (s *stamp) UnmarshalJSON(b []byte) error {
	var v float64
	err := unmarshalJSON(b, &v)
	*s = at(v)
	return err
}

// MarshalCBOR gives tag 1, an epoch time.
func (s stamp) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(cbor.Tag{Number: 1, Content: s.seconds()})
}

func (s *stamp) UnmarshalCBOR(b []byte) error {
	var t time.Time
	err := cbor.Unmarshal(b, &t)
	*s = stamp{t}
	return err
}

// An apiError is an answer that the SDKs turn into an error of theirs.
type apiError struct {
	status  int
	code    string // shape name
	query   string // code that older clients know, where it differs
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func validation(message string) *apiError {
	return &apiError{status: 400, code: "ValidationError", message: message}
}

func invalidValue(message string) *apiError {
	return &apiError{status: 400, code: "InvalidParameterValueException", query: "InvalidParameterValue", message: message}
}

func missing(name string) *apiError {
	return &apiError{status: 400, code: "MissingRequiredParameterException", query: "MissingParameter",
		message: "The parameter " + name + " is required."}
}
