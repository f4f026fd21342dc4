package meters

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A SecretRef says where a secret is, and is never the secret: env:NAME, a
// variable of the engine's environment, or the ARN of a secret in AWS Secrets
// Manager.
type SecretRef string

// SecretPrefix begins the name of every environment variable that a reference
// may name. Otherwise a document could have any of the engine's variables, its
// AWS credentials among them, sent to an address of its choice.
const SecretPrefix = "STEPCANARY_SECRET_"

var (
	variable = regexp.MustCompile(`^env:` + SecretPrefix + `[A-Za-z0-9_]+$`)
	arn      = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$`)
)

// check tells whether it is a reference. What it is instead is not told, because
// that may be the secret.
func (r SecretRef) check() error {
	if !variable.MatchString(string(r)) && !arn.MatchString(string(r)) {
		return fmt.Errorf("secret: %w: env:%sNAME or the ARN of a secret in Secrets Manager is expected", fault.Invalid, SecretPrefix)
	}
	return nil
}

// resolve gives the secret, without space around it.
func (r SecretRef) resolve(ctx context.Context) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	read := fromEnvironment
	if arn.MatchString(string(r)) {
		read = fromSecretsManager
	}
	secret, err := read(ctx, string(r))
	if err != nil {
		return "", fmt.Errorf("secret %s: %w", r, err)
	}
	if secret = strings.TrimSpace(secret); secret == "" {
		return "", fmt.Errorf("secret %s: %w: it is empty", r, fault.Invalid)
	}
	return secret, nil
}

func fromEnvironment(_ context.Context, ref string) (string, error) {
	value, ok := os.LookupEnv(strings.TrimPrefix(ref, "env:"))
	if !ok {
		return "", fmt.Errorf("%w: the variable is not set", fault.Invalid)
	}
	return value, nil
}

func fromSecretsManager(ctx context.Context, ref string) (string, error) {
	cfg, err := loadAWS(ctx, arn.FindStringSubmatch(ref)[1])
	if err != nil {
		return "", err
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(ref)})
	if err != nil {
		kind := fault.Transient
		var api smithy.APIError
		if errors.As(err, &api) && api.ErrorFault() == smithy.FaultClient && !strings.Contains(api.ErrorCode(), "Throttl") {
			kind = fault.Invalid
		}
		return "", fmt.Errorf("%w: %w", kind, err)
	}
	return aws.ToString(out.SecretString), nil
}

// check finds a wrong choice of credentials. A password or token is sent in the
// clear only to the engine's own address or to this machine.
func (a Auth) check(c Config) error {
	chosen := 0
	for _, set := range []bool{a.Bearer != "", a.Basic != nil, a.SigV4 != nil} {
		if set {
			chosen++
		}
	}
	if chosen > 1 {
		return fmt.Errorf("metrics.auth: %w: one of bearer, basic, sigv4 is expected", fault.Invalid)
	}
	u, err := url.Parse(c.Address)
	if err == nil && u.Scheme == "http" && !c.own && !c.AllowLoopback && (a.Bearer != "" || a.Basic != nil) {
		return fmt.Errorf("metrics.address: %w: https is expected where a secret is sent", fault.Invalid)
	}
	var ref SecretRef
	switch {
	case a.Bearer != "":
		ref = a.Bearer
	case a.Basic != nil:
		ref = a.Basic.Password
	default:
		return nil
	}
	if err := ref.check(); err != nil {
		return fmt.Errorf("metrics.auth: %w", err)
	}
	return nil
}
