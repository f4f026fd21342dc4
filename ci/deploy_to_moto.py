"""Deploys synthesized templates into moto's CloudFormation: a smoke test of their references.

usage: deploy_to_moto.py CDK_OUT...

moto knows not every type of resource and leaves out those that it does not. So what counts is not
that it says CREATE_COMPLETE, but what its other services hold afterwards.
"""
import glob
import os
import sys
import warnings

os.environ.update(
    AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="eu-west-1",
    AWS_EC2_METADATA_DISABLED="true", MOTO_ACCOUNT_ID="111122223333",
)
warnings.simplefilter("ignore")  # moto names what it leaves out twice
import boto3
from moto import mock_aws
from moto.awslambda import models

make_version = models.LambdaVersion.create_from_cloudformation_json.__func__


def make_version_with_arn(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    """moto 5.2 forgets that the Ref of a version is its ARN, and that it has attributes."""
    version = make_version(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
    name = cloudformation_json["Properties"]["FunctionName"]
    version.physical_resource_id = f"arn:aws:lambda:{region_name}:{account_id}:function:{name}:{version.version}"
    return version


models.LambdaVersion.create_from_cloudformation_json = classmethod(make_version_with_arn)
models.LambdaVersion.get_cfn_attribute = lambda self, name: {"Version": str(self.version), "FunctionArn": self.physical_resource_id}[name]


@mock_aws
def deploy(out):
    """Deploys all stacks of one folder."""
    account, region = "111122223333", "eu-west-1"
    bucket = f"cdk-hnb659fds-assets-{account}-{region}"
    s3 = boto3.client("s3", region)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    boto3.client("ssm", region).put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
    for path in glob.glob(os.path.join(out, "asset.*.zip")):
        with open(path, "rb") as f:
            s3.put_object(Bucket=bucket, Key=os.path.basename(path).removeprefix("asset."), Body=f)
    cloudformation = boto3.client("cloudformation", region)
    templates = sorted(glob.glob(os.path.join(out, "*.template.json")), key=len)
    if not templates:
        sys.exit(f"{out}: no template")
    for path in templates:
        name = os.path.basename(path).removesuffix(".template.json")
        with open(path, encoding="utf-8") as f:
            body = f.read()
        cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        if stack["StackStatus"] != "CREATE_COMPLETE":
            sys.exit(f"{name}: {stack['StackStatus']}: {stack.get('StackStatusReason')}")
    look(out, region)


def look(out, region):
    """Asks the services for what the engine's stack has to have made in them."""
    functions = {f["FunctionName"]: f for f in boto3.client("lambda", region).list_functions()["Functions"]}
    roles = {r["RoleName"] for r in boto3.client("iam", region).get_paginator("list_roles").paginate().build_full_result()["Roles"]}
    machines = boto3.client("stepfunctions", region).list_state_machines()["stateMachines"]
    events = boto3.client("events", region)
    targets = {r["Name"]: [t["Arn"] for t in events.list_targets_by_rule(Rule=r["Name"])["Targets"]] for r in events.list_rules()["Rules"]}
    queues = boto3.client("sqs", region).list_queues().get("QueueUrls", [])
    topics = boto3.client("sns", region).list_topics()["Topics"]
    problems = []
    if len(functions) != 9:
        problems.append(f"functions {sorted(functions)}")
    for name in functions:
        role = name.replace("stepcanary-", f"stepcanary-{region}-")
        if not functions[name]["Role"].endswith(role) or role not in roles:
            problems.append(f"{name} runs as {functions[name]['Role']}")
    if [m["name"] for m in machines] != ["stepcanary"]:
        problems.append(f"state machines {machines}")
    if ":function:stepcanary-rollback:1" not in " ".join(targets.get("stepcanary-dead", [])):
        problems.append(f"the rule on dead executions leads to {targets.get('stepcanary-dead')}")
    if ":function:stepcanary-abort:1" not in " ".join(targets.get("stepcanary-alarms", [])):
        problems.append(f"the rule on alarms leads to {targets.get('stepcanary-alarms')}")
    if not any(q.endswith("/stepcanary-dead-letters") for q in queues) or not any(t["TopicArn"].endswith(":stepcanary-events") for t in topics):
        problems.append(f"queues {queues}, topics {topics}")
    if problems:
        sys.exit(f"{out}: " + "; ".join(problems))
    print(f"moto: {out}: {len(functions)} functions, {len(roles)} roles, {len(targets)} rules, a state machine, a queue, a topic")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for out in sys.argv[1:]:
        deploy(out)


main()
