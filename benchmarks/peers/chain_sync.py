"""The first of two empty functions in functions-framework's default mode: it asks the second, at NEXT_URL."""

import os

import flask
import functions_framework
import urllib3

HTTP = urllib3.PoolManager(maxsize=64)


@functions_framework.http
def main(_: flask.Request) -> str:
    """Answer the second function's word."""
    return HTTP.request("GET", os.environ["NEXT_URL"]).data.decode()
