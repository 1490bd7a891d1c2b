#!/usr/bin/env bash
# Makes the pictures of docs/guides/live.md, of a sweep that runs and of one that is over. They are checked in, so that the guide has them
# wherever it is read; make them anew when the page changes its looks. Needs a running local stack (cargo local up) and Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
endpoint="${1:-http://127.0.0.1:4566}"
pictures=docs/images
scratch=target/screenshots
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "no Chromium on the PATH" >&2
  exit 1
}
mkdir -p "$pictures" "$scratch"

# shoot NAME QUERY
shoot() {
  "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$PWD/$scratch/profile" --window-size=820,790 \
    --screenshot="$PWD/$pictures/$1.png" "$endpoint/_spawn?$2" 2>/dev/null
  echo "$pictures/$1.png"
}

# The newest sweep, as the list has it.
newest() {
  curl -fsS "$endpoint/_spawn" | grep -o 'sweep_id=[A-Za-z0-9_-]*' | head -n 1
}

before=$(newest || true)
cargo local sweep examples/hyperparameter-sweep/sweep.yaml >"$scratch/sweep.log" &
sweep=$!
until [ "$(newest || true)" != "$before" ]; do sleep 0.2; done
# Until some members have ended.
sleep 30
shoot sweep-running "$(newest)"
wait "$sweep"
shoot sweep-over "$(newest)"
rm -rf "$scratch"
