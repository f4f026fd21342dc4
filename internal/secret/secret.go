// Package secret looks up secrets that a configuration names and never holds.
package secret

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A Ref says where a secret is, and is never the secret: env:NAME, a variable of
// the engine's environment, or the ARN of a secret in AWS Secrets Manager.
type Ref string

// Prefix begins the name of every environment variable that a Ref may name.
// Otherwise a deploy.json could have any of the engine's variables, its AWS
// credentials among them, sent to an address of its choice.
const Prefix = "STEPCANARY_SECRET_"

var (
	variable = regexp.MustCompile(`^env:` + Prefix + `[A-Za-z0-9_]+$`)
	arn      = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$`)
)

// Check tells whether it is a reference. What it is instead is not told, because
// that may be the secret. Errors are of kind fault.Invalid.
func (r Ref) Check() error {
	if !variable.MatchString(string(r)) && !arn.MatchString(string(r)) {
		return fmt.Errorf("secret: %w: env:%sNAME or the ARN of a secret in Secrets Manager is expected", fault.Invalid, Prefix)
	}
	return nil
}

// Resolve gives the secret, without space around it. An empty one is an error,
// and so is one that is not there: of kind fault.Invalid, or fault.Transient
// where asking again may help.
func (r Ref) Resolve(ctx context.Context) (string, error) {
	if err := r.Check(); err != nil {
		return "", err
	}
	read := fromEnvironment
	if arn.MatchString(string(r)) {
		read = fromSecretsManager
	}
	value, err := read(ctx, string(r))
	if err != nil {
		return "", fmt.Errorf("secret %s: %w", r, err)
	}
	if value = strings.TrimSpace(value); value == "" {
		return "", fmt.Errorf("secret %s: %w: it is empty", r, fault.Invalid)
	}
	return value, nil
}

func fromEnvironment(_ context.Context, ref string) (string, error) {
	value, ok := os.LookupEnv(strings.TrimPrefix(ref, "env:"))
	if !ok {
		return "", fmt.Errorf("%w: the variable is not set", fault.Invalid)
	}
	return value, nil
}

func fromSecretsManager(ctx context.Context, ref string) (string, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(arn.FindStringSubmatch(ref)[1]))
	if err != nil {
		return "", fmt.Errorf("AWS configuration: %w: %v", fault.Invalid, err)
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(ref)})
	if err != nil {
		return "", failure(err)
	}
	return aws.ToString(out.SecretString), nil
}

// failure is Invalid for what Secrets Manager refuses, and Transient for the rest.
func failure(err error) error {
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		return fmt.Errorf("%w: %w", fault.Transient, err)
	}
	kind, status := fault.Transient, response.HTTPStatusCode()
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests && !strings.Contains(api.ErrorCode(), "Throttling") {
		kind = fault.Invalid
	}
	if strings.Contains(api.ErrorCode(), "Signature") {
		// Its message repeats the request, with the session's token.
		return fmt.Errorf("%w: Secrets Manager answered %s", kind, api.ErrorCode())
	}
	return fmt.Errorf("%w: %w", kind, err)
}
