#!/bin/bash
# Sees to Python 3.11, a Java runtime from 17 on, Maven, a C++ compiler and the tools named as arguments: installs what
# is missing on Debian as root, elsewhere says what to install.
set -euo pipefail

missing=()
packages=()

need() { # need WHAT PACKAGE...
    missing+=("$1")
    shift
    packages+=("$@")
}

java_major() { java -version 2>&1 | sed -nE '1s/.*"([0-9]+)[^"]*".*/\1/p'; }

if ! command -v java >/dev/null || [ "$(java_major)" -lt 17 ]; then need "Java 17 or newer" openjdk-17-jre-headless; fi
command -v mvn >/dev/null || need "Maven" maven
command -v g++ >/dev/null || need "a C++ compiler" g++ python3-dev
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then need "Python 3.11" python3; fi
"$python" -c 'import ensurepip, venv' 2>/dev/null || need "Python's venv" python3-venv
for tool in "$@"; do command -v "$tool" >/dev/null || need "$tool" "$tool"; done

[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "${packages[@]}" >/dev/null
    exit 0
fi

{
    echo "Marquee needs what is not here:"
    printf '  - %s\n' "${missing[@]}"
    echo "On Debian: sudo apt-get install ${packages[*]}"
    echo "Then run make again; PYTHON=/path/to/python3.11 chooses another Python."
} >&2
exit 1
