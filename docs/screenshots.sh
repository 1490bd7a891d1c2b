#!/usr/bin/env bash
# Screenshots of the live page, of a sweep that runs and of one that is over, into target/screenshots. Needs a running local stack
# (cargo local up) and Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
endpoint="${1:-http://127.0.0.1:4566}"
folder=target/screenshots
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "no Chromium on the PATH" >&2
  exit 1
}
mkdir -p "$folder"

# shoot NAME QUERY
shoot() {
  "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$folder/profile" --window-size=820,900 \
    --screenshot="$folder/$1.png" "$endpoint/_spawn?$2" 2>/dev/null
  echo "$folder/$1.png"
}

# The newest sweep, as the list has it.
newest() {
  curl -fsS "$endpoint/_spawn" | grep -o 'sweep_id=[A-Za-z0-9_-]*' | head -n 1
}

before=$(newest || true)
cargo local sweep examples/hyperparameter-sweep/sweep.yaml >"$folder/sweep.log" &
sweep=$!
until [ "$(newest || true)" != "$before" ]; do sleep 0.2; done
# Until some members have ended.
sleep 20
shoot running "$(newest)"
wait "$sweep"
shoot over "$(newest)"
shoot list ""
rm -rf "$folder/profile"
