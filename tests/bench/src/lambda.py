"""The floor of the cold start: a rotation function in Python, with the loop that AWS's runtime for Python has around it
and the calls that createSecret makes in AWS's templates."""

import http.client
import json
import os

import boto3

RUNTIME = "/2018-06-01/runtime/invocation/"


def create_secret(client, arn, token):
    described = client.describe_secret(SecretId=arn)
    if "AWSPENDING" not in described["VersionIdsToStages"][token]:
        raise ValueError("the version is not pending")
    current = client.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    try:
        client.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        return
    except client.exceptions.ResourceNotFoundException:
        pass
    value = json.loads(current["SecretString"])
    made = client.get_random_password(PasswordLength=64, ExcludePunctuation=True)
    value["previous_secret"] = value["secret"]
    value["secret"] = made["RandomPassword"]
    client.put_secret_value(
        SecretId=arn, ClientRequestToken=token, SecretString=json.dumps(value), VersionStages=["AWSPENDING"]
    )


def main():
    client = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        api.request("GET", RUNTIME + "next")
        answer = api.getresponse()
        request_id = answer.getheader("Lambda-Runtime-Aws-Request-Id")
        event = json.loads(answer.read())
        create_secret(client, event["SecretId"], event["ClientRequestToken"])
        api.request("POST", RUNTIME + request_id + "/response", "null")
        api.getresponse().read()


main()
