#!/bin/sh
# Installs what infra/images/requirements/NAME.txt lists, and nothing else, into /venv; leaves out what no function
# needs; compiles the rest, as nobody can later; and writes down what is there. Runs while an image is built.
set -eu
/tools/bin/pip --python /venv/bin/python install --quiet --no-deps --no-compile --require-hashes \
    --only-binary :all: --requirement "/build/$1.txt"
/venv/bin/python /build/trim.py /venv/lib/python3.11/site-packages
/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib
/tools/bin/cyclonedx-py environment --output-reproducible --spec-version 1.6 --output-format JSON \
    --output-file /build/sbom.cdx.json /venv/bin/python
