"""What an application does with boto3, in order; every answer and every error class is checked."""

import json
import os
import uuid

import boto3
from botocore.exceptions import ClientError

client = boto3.client("secretsmanager", endpoint_url=os.environ["ENDPOINT"], region_name="eu-west-1")


def fails(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, (found, error)
        assert error.response["ResponseMetadata"]["RequestId"], error.response
        return error
    raise AssertionError(f"{call} should have failed with {code}")


made = client.create_secret(
    Name="app/one", SecretString=json.dumps({"password": "first"}), Description="One", Tags=[{"Key": "team", "Value": "blue"}]
)
assert made["ARN"].startswith("arn:aws:secretsmanager:eu-west-1:"), made
for name in ["app/two", "app/three"]:
    client.create_secret(Name=name, SecretString="x")
exists = client.exceptions.ResourceExistsException
try:
    client.create_secret(Name="app/one", SecretString="other")
    raise AssertionError("it exists")
except exists as error:
    assert "already exists" in str(error)

read = client.get_secret_value(SecretId=made["ARN"])
assert json.loads(read["SecretString"]) == {"password": "first"}, read
assert read["CreatedDate"].year >= 2024, read
fails("ResourceNotFoundException", client.get_secret_value, SecretId="app/none")
fails("ResourceNotFoundException", client.get_secret_value, SecretId="app/one", VersionStage="AWSPENDING")

token = str(uuid.uuid4())
pending = client.put_secret_value(
    SecretId="app/one", SecretString="second", ClientRequestToken=token, VersionStages=["AWSPENDING"]
)
assert pending["VersionStages"] == ["AWSPENDING"], pending
fails("InvalidParameterException", client.update_secret_version_stage,
      SecretId="app/one", VersionStage="AWSCURRENT", MoveToVersionId=token)
client.update_secret_version_stage(
    SecretId="app/one", VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=made["VersionId"]
)
described = client.describe_secret(SecretId="app/one")
assert described["VersionIdsToStages"][made["VersionId"]] == ["AWSPREVIOUS"], described
assert described["Tags"] == [{"Key": "team", "Value": "blue"}], described
versions = client.list_secret_version_ids(SecretId="app/one", IncludeDeprecated=True)["Versions"]
assert len(versions) == 2, versions

pages = client.get_paginator("list_secrets").paginate(
    Filters=[{"Key": "name", "Values": ["app/one", "app/t"]}], PaginationConfig={"PageSize": 2}
)
names = [secret["Name"] for page in pages for secret in page["SecretList"]]
assert names == ["app/one", "app/two", "app/three"], names
batch = client.batch_get_secret_value(SecretIdList=["app/one", "app/none"])
assert [value["Name"] for value in batch["SecretValues"]] == ["app/one"], batch
assert batch["Errors"][0]["ErrorCode"] == "ResourceNotFoundException", batch

client.tag_resource(SecretId="app/one", Tags=[{"Key": "tier", "Value": "1"}])
client.untag_resource(SecretId="app/one", TagKeys=["team"])
assert client.describe_secret(SecretId="app/one")["Tags"] == [{"Key": "tier", "Value": "1"}]
updated = client.update_secret(SecretId="app/one", Description="The one", SecretString="third")
assert client.get_secret_value(SecretId="app/one")["VersionId"] == updated["VersionId"]
assert len(client.get_random_password(PasswordLength=20, ExcludePunctuation=True)["RandomPassword"]) == 20
fails("InvalidParameterException", client.create_secret, Name="app/binary", SecretBinary=b"\x00\x01")
fails("InvalidRequestException", client.rotate_secret, SecretId="app/one")

policy = json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
    "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]})
client.put_resource_policy(SecretId="app/one", ResourcePolicy=policy, BlockPublicPolicy=True)
assert client.get_resource_policy(SecretId="app/one")["ResourcePolicy"] == policy
assert client.validate_resource_policy(ResourcePolicy=policy)["PolicyValidationPassed"]
client.delete_resource_policy(SecretId="app/one")
fails("MalformedPolicyDocumentException", client.put_resource_policy, SecretId="app/one", ResourcePolicy="{}")

rotated = client.rotate_secret(SecretId="app/jwt", RotationRules={"ScheduleExpression": "rate(30 days)"})
waited = client.describe_secret(SecretId="app/jwt")
while "AWSCURRENT" not in waited["VersionIdsToStages"].get(rotated["VersionId"], []):
    waited = client.describe_secret(SecretId="app/jwt")
assert waited["RotationEnabled"] and waited["NextRotationDate"], waited
client.cancel_rotate_secret(SecretId="app/jwt")
assert client.describe_secret(SecretId="app/jwt")["RotationEnabled"] is False

deleted = client.delete_secret(SecretId="app/two", RecoveryWindowInDays=7)
assert deleted["DeletionDate"], deleted
fails("InvalidRequestException", client.get_secret_value, SecretId="app/two")
client.restore_secret(SecretId="app/two")
client.get_secret_value(SecretId="app/two")
client.delete_secret(SecretId="app/two", ForceDeleteWithoutRecovery=True)
fails("ResourceNotFoundException", client.describe_secret, SecretId="app/two")

stranger = boto3.client(
    "secretsmanager", endpoint_url=os.environ["ENDPOINT"], region_name="eu-west-1",
    aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x" * 40,
)
fails("UnrecognizedClientException", stranger.list_secrets)
elsewhere = boto3.client("secretsmanager", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1")
fails("InvalidSignatureException", elsewhere.list_secrets)
print("every call was answered as by AWS")
