#!/usr/bin/env bash
# Runs every path of the state machines on a local stack, in about a minute. Installs what it needs into target/, once.
# Arguments go to pytest: `run.sh -k drain`.
set -euo pipefail
cd "$(dirname "$0")/../.."
home=${CARGO_TARGET_DIR:-$PWD/target}/cases
stamp=$(sha256sum tests/local/requirements.txt | cut -c1-16)
if [ "$(cat "$home/stamp" 2>/dev/null || true)" != "$stamp" ]; then
  echo "Installing the local stack (once) ..."
  rm -rf "$home"
  python3 -m venv "$home/venv"
  "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/local/requirements.txt
  echo "$stamp" >"$home/stamp"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$home/venv/bin/python" -m pytest -q -p no:cacheprovider statemachines/cases "$@"
