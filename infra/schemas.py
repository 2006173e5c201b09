"""Check Kubernetes manifests without a cluster, against the schemas in the Go modules that the servers are built from.

What a server would silently drop, a field that its schema does not know, is a problem here. Rules in CEL
(`x-kubernetes-validations`) and what webhooks check besides are left to a cluster.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml
from jsonschema_rs import Draft4Validator

from infra.go import module
from shared.errors import BadInput

Schema = Mapping[str, Any]
Kind = tuple[str, str]
"""An apiVersion and a kind."""

_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_METADATA: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "finalizers": {"type": "array"},
        "ownerReferences": {"type": "array"},
    },
    "additionalProperties": False,
}
"""What a manifest may say of itself. Labels and annotations are texts: `min-scale: 2` without quotes is refused."""

_NUMBER_OR_TEXT: Final[Schema] = {"type": ["number", "string"]}
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"


@dataclass(frozen=True)
class Schemas:
    """What is known of each kind."""

    validators: Mapping[Kind, Callable[[], Draft4Validator]]

    def __or__(self, other: "Schemas") -> "Schemas":
        """Return what either knows."""
        return Schemas({**self.validators, **other.validators})

    def check(self, document: Mapping[str, Any]) -> list[str]:
        """Return the problems of a manifest, none if it is as it should be; a kind nothing is known of is one."""
        kind = str(document.get("apiVersion")), str(document.get("kind"))
        name = f"{kind[1]} {(document.get('metadata') or {}).get('name')}"
        if kind not in self.validators:
            return [f"{name}: there is no schema of {kind[0]} {kind[1]}"]
        errors = self.validators[kind]().iter_errors(document)
        return [f"{name}: {'/'.join(map(str, error.instance_path)) or 'it'}: {error.message}" for error in errors]


@functools.cache
def crds(path: str, version: str, glob: str) -> Schemas:
    """Return the schemas of the CustomResourceDefinitions in the files of a module. Raises: BadInput, NotReady."""
    return of_definitions(definitions(path, version, glob))


def definitions(path: str, version: str, glob: str) -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions in the files of a module.

    A module's archive has no symbolic links: ask the module that they point into. Tabs, which some descriptions have
    and YAML forbids, become spaces. Raises: BadInput, NotReady.
    """
    files = sorted(module(path, version).glob(glob))
    if not files:
        raise BadInput(f"{path}@{version} has no file {glob}")
    found = [document for file in files for document in yaml.safe_load_all(file.read_text().replace("\t", " "))]
    return [each for each in found if each and each["kind"] == "CustomResourceDefinition"]


def of_definitions(definitions: Iterable[Mapping[str, Any]]) -> Schemas:
    """Return the schemas of CustomResourceDefinitions, one for each version that is served."""
    validators: dict[Kind, Callable[[], Draft4Validator]] = {}
    for spec in (each["spec"] for each in definitions):
        for version in (each for each in spec["versions"] if each["served"]):
            schema = _closed(version["schema"]["openAPIV3Schema"])
            own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _METADATA}
            schema["properties"] = {**schema.get("properties", {}), **own}
            validators[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = _on_demand(schema)
    return Schemas(validators)


@functools.cache
def kubernetes(version: str) -> Schemas:
    """Return the schemas of Kubernetes' own kinds. Raises: BadInput, NotReady."""
    told = json.loads((module("k8s.io/kubernetes", version) / "api/openapi-spec/swagger.json").read_text())
    definitions = {name: _closed(schema) for name, schema in told["definitions"].items()}
    definitions[_QUANTITY] = dict(_NUMBER_OR_TEXT)
    return Schemas(
        {
            ("/".join(filter(None, (kind["group"], kind["version"]))), kind["kind"]): _on_demand(
                {"$ref": f"#/definitions/{name}", "definitions": definitions}
            )
            for name, schema in told["definitions"].items()
            for kind in schema.get("x-kubernetes-group-version-kind", [])
        }
    )


def _on_demand(schema: dict[str, Any]) -> Callable[[], Draft4Validator]:
    """Return what compiles a schema, once, when it is first asked for: of hundreds of kinds a few are read."""
    return functools.cache(functools.partial(Draft4Validator, schema))


def _closed(schema: Schema) -> dict[str, Any]:
    """Return a JSON schema that refuses what the API server would drop.

    Of two kinds of objects it says no such thing: those of any content, and maps, which say what their values are.
    """
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return dict(_NUMBER_OR_TEXT)
    closed = dict(schema)
    if "properties" in schema:
        closed["properties"] = {name: _closed(each) for name, each in schema["properties"].items()}
        if not schema.get(_OPEN):
            closed.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            closed[key] = _closed(schema[key])
    if schema.get("nullable"):
        closed["type"] = [schema["type"], "null"]
    return closed
