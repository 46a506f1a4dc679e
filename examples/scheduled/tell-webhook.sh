#!/usr/bin/env bash
# Post a notice or an alert to a chat's webhook: tell-webhook.sh LEVEL TEXT
#
# SYNC_WEBHOOK is its URL. It is a secret, so it is handed to curl on standard input and never shows in a list of processes.
set -euo pipefail

url=${SYNC_WEBHOOK:?is the URL to post to}
body=$(python3 -c 'import json, sys; print(json.dumps({"text": f"{sys.argv[1]}: {sys.argv[2]}"}))' "$1" "$2")
printf 'url = "%s"\n' "$url" |
  curl --config - --fail --silent --show-error --output /dev/null --max-time 20 --retry 3 \
    --header 'Content-Type: application/json' --data "$body"
