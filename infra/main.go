// Command infra writes the CloudFormation templates of Stepcanary: the engine's, once for an
// account and region, and one pipeline's for each service.
//
// It reads stepcanary.json (or STEPCANARY_CONFIG), takes the functions' zips and the CLI from
// ../dist (or STEPCANARY_DIST), where scripts/package puts them, and writes cdk.out (or
// CDK_OUTDIR, which the cdk command sets). It needs no AWS account.
package main

import (
	"fmt"
	"os"

	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "infra:", err)
		os.Exit(1)
	}
}

func run() error {
	config, err := ReadConfig(setting("STEPCANARY_CONFIG", "stepcanary.json"))
	if err != nil {
		return err
	}
	dist := setting("STEPCANARY_DIST", "../dist")
	if err := checkAssets(config, dist); err != nil {
		return err
	}
	defer jsii.Close()
	newApp(config, dist, setting("CDK_OUTDIR", "cdk.out")).Synth(nil)
	return nil
}

func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// newApp describes everything. The same configuration and the same zips give the same
// templates, byte for byte.
func newApp(config Config, dist, out string) cdk.App {
	app := cdk.NewApp(&cdk.AppProps{
		Outdir:             jsii.String(out),
		AnalyticsReporting: jsii.Bool(false),
		TreeMetadata:       jsii.Bool(false),
	})
	newEngine(app, &config, dist)
	for _, s := range config.Services {
		newPipeline(app, &config, s, dist)
	}
	return app
}

func stackProps(config *Config, description string) *cdk.StackProps {
	return &cdk.StackProps{
		Description: jsii.String(description),
		Env:         &cdk.Environment{Account: jsii.String(config.Account), Region: jsii.String(config.Region)},
	}
}
