# shellcheck shell=bash
# What the scripts share: timed phases, a scratch directory, questions to IAM and
# a test bed of their own. Sourcing it sets the trap that takes both away again.

SCRATCH=
BED=
# What starts and stops it, in tests/testbed.
BED_UP=up
BED_DOWN=down
CHILD=
GROUP=
PHASE=

# phase TITLE COMMAND…: runs it and says how long it took. Its failure ends the
# script (set -e), and the trap says which phase that was.
phase() {
  local began=$SECONDS
  PHASE="$1"
  shift
  printf '\n==> %s\n' "$PHASE"
  in_group "$@"
  printf '==> %s: %s s\n' "$PHASE" $((SECONDS - began))
  PHASE=
}

# Runs a command in a process group of its own, which the trap can end as a whole;
# a signal to this script alone is seen at once, not when the command ends.
in_group() {
  set -m
  { set +m && "$@"; } </dev/null &
  GROUP=$!
  set +m
  wait "$GROUP"
  GROUP=
}

stop_group() {
  [[ -n "$GROUP" ]] || return 0
  kill -TERM -- "-$GROUP" 2>/dev/null || true
  wait "$GROUP" 2>/dev/null || true
  GROUP=
}

new_scratch() {
  [[ -n "$SCRATCH" ]] || SCRATCH="$(mktemp -d "${TMPDIR:-/tmp}/mlservicerole.XXXXXX")"
}

# Starts a bed beside any other and points this shell's tools at it.
start_bed() {
  new_scratch
  BED="$SCRATCH/bed"
  phase "start a test bed" bed_up
  # shellcheck source=/dev/null
  source "$SCRATCH/exports"
}

bed_up() {
  MLSERVICEROLE_TESTBED_DIR="$BED" "tests/testbed/$BED_UP" >"$SCRATCH/exports"
}

stop_bed() {
  [[ -z "$BED" ]] || MLSERVICEROLE_TESTBED_DIR="$BED" "tests/testbed/$BED_DOWN"
  BED=
}

# iam ACTION KEY=VALUE…: asks the emulator, which takes any signature, and prints
# its answer as JSON. Fails with the error's code.
iam() {
  local action="$1" fields=()
  shift
  for field in "$@"; do fields+=(--data-urlencode "$field"); done
  curl --silent --show-error --noproxy '*' --max-time 30 \
    --header 'Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0' \
    --data "Action=$action" --data Version=2010-05-08 "${fields[@]}" "$AWS_ENDPOINT_URL/" |
    python3 tests/demo/readable
}

# What a failed run leaves to read, since its directory goes away.
show_logs() {
  local log
  for log in "$SCRATCH"/bed/log/*.log "$SCRATCH"/*.log; do
    [[ -s "$log" ]] || continue
    printf '\n--- the end of %s\n' "${log#"$SCRATCH"/}" >&2
    tail -n 15 "$log" >&2
  done
}

# Stops the process in CHILD by its pid: TERM, up to 10 s, KILL.
stop_child() {
  [[ -n "$CHILD" ]] || return 0
  kill -TERM "$CHILD" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$CHILD" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$CHILD" 2>/dev/null || true
  wait "$CHILD" 2>/dev/null || true
  CHILD=
}

clean_up() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  if [[ $status -ne 0 ]]; then
    # 128 and more is a signal: whoever sent it knows why.
    if [[ -n "$SCRATCH" && $status -lt 128 ]]; then show_logs; fi
    printf '\n==> FAILED (exit %s): %s\n' "$status" "${PHASE:-$0}" >&2
  fi
  stop_group
  stop_child
  stop_bed || status=1
  if [[ -n "$SCRATCH" ]]; then rm -rf "$SCRATCH"; fi
  exit "$status"
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
