#!/usr/bin/env bash
# One scheduled sync: never two at once, its log kept, and somebody told when it needs a person.
#
#   SYNC_TARGET         module:attribute, such as schemas.product:space
#   SYNC_SOURCE         a feed, a folder of pictures, s3://bucket/prefix/, …
#   SYNC_STATE          folder of the lock, the log, the report and the rejects  (./sync-state)
#   SYNC_LOG            file that the log is added to; - leaves it where the script's output goes  (SYNC_STATE/sync.log)
#   SYNC_TELL           command called with "notice" or "alert" and a sentence; without one it goes to standard error
#   SYNC_WAIT           seconds to wait for a sync that is still going  (600)
#   SYNC_LIMIT          a sync that takes longer is asked to stop  (6h)
#   SYNC_REJECTED_CODE  exit code of a run that is done but rejected rows  (1)
#
# QDRANT_URL, QDRANT_API_KEY and CONNECTOR_… are read by `connector` itself; arguments of this script are passed on to it.
# Exit codes are those of `connector sync`: 0 done · 1 done, rows rejected · 2 needs a person · 3 could not finish ·
# 130 and 143 interrupted. The next run goes on where any of them stopped.
set -euo pipefail

target=${SYNC_TARGET:?names the space, such as schemas.product:space}
source=${SYNC_SOURCE:?names the feed}
state=${SYNC_STATE:-sync-state}
log=${SYNC_LOG:-$state/sync.log}
wait=${SYNC_WAIT:-600}
limit=${SYNC_LIMIT:-6h}

mkdir -p "$state"
exec 3>&2 # what cron mails
[[ $log == - ]] || exec >>"$log" 2>&1

tell() {
  if [[ -z ${SYNC_TELL:-} ]]; then
    echo "$1: $2" >&3
  elif ! "$SYNC_TELL" "$1" "$2"; then
    echo "$1 (and SYNC_TELL failed): $2" >&3 # a webhook that is down must not hide what happened
  fi
}

code=0
# The lock is held by this open file, which the sync inherits: it is free when the last of both has ended, however it did.
exec 9>"$state/lock"
if flock --wait "$wait" 9; then
  # Before the sync starts, or a signal in between would leave it behind. Not before `flock`: bash would hold it back until
  # the wait for the lock ends.
  sync=
  stopped=
  trap 'stopped=1; [[ -z $sync ]] || kill -TERM "$sync" 2>/dev/null || true' TERM INT
  timeout --signal=TERM --kill-after=60 "$limit" \
    connector sync "$target" "$source" --delete-missing \
    --report "$state/report.json" --rejects "$state/rejects.jsonl" --log json --wait "$wait" "$@" &
  sync=$!
  [[ -z $stopped ]] || kill -TERM "$sync" 2>/dev/null || true
  wait "$sync" || code=$?
  while kill -0 "$sync" 2>/dev/null; do # a signal ends `wait` early; the sync is then finishing its batch
    code=0
    wait "$sync" || code=$?
  done
else
  code=75
fi

case $code in
  0) ;;
  1)
    tell notice "Some rows of $source were rejected; the rest is stored. They are in $state/rejects.jsonl, each with its reason."
    code=${SYNC_REJECTED_CODE:-1}
    ;;
  2) tell alert "The sync of $source needs a person (a setting, the schema, or more to delete than is allowed) and will not heal by itself: see the end of its log." ;;
  3) tell alert "The sync of $source could not finish. Nothing is lost and the next run goes on; see the end of its log." ;;
  75)
    tell alert "The sync of $source did not start: another one is still going after $wait s."
    code=3
    ;;
  124)
    tell alert "The sync of $source was stopped after $limit. Nothing is lost and the next run goes on."
    code=3
    ;;
  130 | 143) ;; # somebody stopped it on purpose
  *) tell alert "The sync of $source ended with code $code, which it never does by itself: see the end of its log." ;;
esac
exit "$code"
