// Package cloudwatch stands in for Amazon CloudWatch's metric API on the test
// bed: PutMetricData and GetMetricData as the AWS SDKs call them, over the
// Smithy RPC v2 CBOR protocol (the Go SDK's since service/cloudwatch v1.53.0,
// and botocore's) and AWS JSON 1.0. The older Query protocol is refused.
//
// What a canary engine meets in the real service is here: raw series with
// Sum, SampleCount, Average, Minimum, Maximum and percentiles, aggregation to
// whole minutes, a delay before a datum is seen, pages, series without data,
// partial answers, throttling and internal errors. What is not is refused by
// name: metric math, SEARCH, Metrics Insights, other accounts, and the other
// operations. A request must carry a Signature Version 4 for this service, but
// the signature is not recomputed.
//
// Clients find it by AWS_ENDPOINT_URL_CLOUDWATCH. Its data come from clients,
// or from a Scraper that reads Prometheus counters of gateway, mesh or pods.
//
// Sources: the service's Smithy model (API version 2010-08-01) and
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html.
package cloudwatch
