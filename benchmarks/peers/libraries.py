"""The empty HTTP function, with the libraries that every server of a model needs, and a client of its store."""

import boto3
import cloudevents.http
import functions_framework.aio
import numpy
import prometheus_client
import pydantic
import structlog
from starlette.requests import Request

NEEDED = (cloudevents.http, numpy, prometheus_client, pydantic, structlog)

s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")


@functions_framework.aio.http
async def main(_: Request) -> str:
    """Answer a word."""
    return "ok\n"
