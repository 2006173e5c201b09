"""The empty HTTP function, as functions-framework's own documentation has it."""

import flask
import functions_framework


@functions_framework.http
def main(_: flask.Request) -> str:
    """Answer a word."""
    return "ok\n"
