#!/usr/bin/env bash
# Lints the template, the state machines and the scripts. Installs its pinned linters into target/lint, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
home=${CARGO_TARGET_DIR:-$root/target}/lint
export SAM_CLI_TELEMETRY=0 AWS_EC2_METADATA_DISABLED=true

stamp=$(cat tests/lint/requirements.txt tests/lint/package-lock.json | sha256sum | cut -c1-16)
if [ "$(cat "$home/stamp" 2>/dev/null || true)" != "$stamp" ]; then
  echo "Installing the linters (once) ..."
  rm -rf "$home"
  mkdir -p "$home/node"
  python3 -m venv "$home/venv"
  "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/lint/requirements.txt
  cp tests/lint/package.json tests/lint/package-lock.json "$home/node/"
  npm ci --prefix "$home/node" --silent --no-audit --no-fund
  echo "$stamp" >"$home/stamp"
fi

step() { printf '%s\n' "-- $*"; }
step sam validate --lint
"$home/venv/bin/sam" validate --lint --template infra/template.yaml --region us-east-1
step cfn-lint
"$home/venv/bin/cfn-lint" infra/template.yaml infra/satellite.yaml infra/member-account.yaml infra/governance.yaml
step asl-validator
for machine in statemachines/*.asl.json; do
  "$home/node/node_modules/.bin/asl-validator" --json-path "$machine"
done
step shellcheck
"$home/venv/bin/shellcheck" infra/instance/*.sh statemachines/cases/run.sh tests/lint/run.sh docs/screenshots.sh .ci/run
step structure
"$home/venv/bin/python" tests/lint/structure.py
step docs
"$home/venv/bin/python" tests/lint/docs.py
echo "lint: all clean"
