// Package eks asks Amazon EKS where a cluster is, and makes the tokens that its API
// server takes: a presigned STS request, as aws-iam-authenticator defines it.
package eks

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// Clusters is a kube.EKS with one account's and region's settings.
type Clusters struct {
	load func() (aws.Config, error)
}

// New gives the clusters that the settings lead to.
func New(cfg aws.Config) *Clusters {
	return &Clusters{load: func() (aws.Config, error) { return cfg, nil }}
}

// FromEnvironment gives the clusters of the environment's settings, which are read
// at the first use.
func FromEnvironment() *Clusters {
	return &Clusters{load: sync.OnceValues(func() (aws.Config, error) {
		cfg, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			return cfg, fmt.Errorf("load AWS settings: %w: %w", fault.Invalid, err)
		}
		return cfg, nil
	})}
}

// Describe gives the cluster's endpoint and certificate authority.
func (c *Clusters) Describe(ctx context.Context, cluster string) (endpoint string, ca []byte, err error) {
	cfg, err := c.load()
	if err != nil {
		return "", nil, err
	}
	out, err := eks.NewFromConfig(cfg).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &cluster})
	if err != nil {
		return "", nil, fmt.Errorf("describe EKS cluster %q: %w: %w", cluster, kindOf(err), err)
	}
	found := out.Cluster
	if found == nil || found.CertificateAuthority == nil || aws.ToString(found.Endpoint) == "" {
		status := types.ClusterStatus("")
		if found != nil {
			status = found.Status
		}
		return "", nil, fmt.Errorf("describe EKS cluster %q: %w: it is %s and has no endpoint yet", cluster, fault.Transient, status)
	}
	ca, err = base64.StdEncoding.DecodeString(aws.ToString(found.CertificateAuthority.Data))
	if err != nil {
		return "", nil, fmt.Errorf("describe EKS cluster %q: certificate authority: %w: %w", cluster, fault.Invalid, err)
	}
	return *found.Endpoint, ca, nil
}

func kindOf(err error) fault.Kind {
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return fault.NotFound
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return fault.Transient // no answer at all
	}
	switch api.ErrorCode() {
	case "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded":
		return fault.Transient
	}
	if api.ErrorFault() == smithy.FaultServer {
		return fault.Transient
	}
	return fault.Invalid
}

// Token makes a token. Nothing goes over the network for it, except what the
// settings' own credentials need.
func (c *Clusters) Token(ctx context.Context, cluster string) (string, time.Time, error) {
	cfg, err := c.load()
	if err != nil {
		return "", time.Time{}, err
	}
	// The generator signs without a context; so credentials that hang are met here.
	if cfg.Credentials == nil {
		return "", time.Time{}, fmt.Errorf("token for EKS cluster %q: %w: there are no AWS credentials", cluster, fault.Invalid)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return "", time.Time{}, fmt.Errorf("token for EKS cluster %q: AWS credentials: %w: %w", cluster, fault.Transient, err)
	}
	generator, err := token.NewGenerator(false, false)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token for EKS cluster %q: %w", cluster, err)
	}
	t, err := generator.GetWithSTS(cluster, sts.NewFromConfig(cfg))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token for EKS cluster %q: %w: %w", cluster, fault.Invalid, err)
	}
	return t.Token, t.Expiration, nil
}
