# shellcheck shell=sh
# The boot runner: what a member's instance runs. The control plane puts three settings before it (SPAWN_TABLE,
# SPAWN_HOME_REGION, SPAWN_KILL_AFTER_S). README.md beside this file tells why it is as it is. No value that comes from
# outside is ever evaluated: assignments are base64, variables are exported by name.
set -u
umask 077
say() { printf '%s spawn: %s\n' "$(date -u +%FT%TZ)" "$*" >&2; }
root=${SPAWN_ROOT:-}
state=$root/var/lib/spawn
mkdir -p "$state"

# ---- The kill switch, before anything that can fail. -------------------------------------------------------------------
# The deadline is absolute and on disk, so that a reboot does not extend it.
now() { date +%s; }
arm() { # arm DEADLINE
  printf '%s\n' "$1" >"$state/deadline.new" && mv "$state/deadline.new" "$state/deadline"
  left=$(($1 - $(now)))
  if [ "$left" -le 0 ]; then shutdown -h now; else shutdown -P "+$(((left + 59) / 60))" || say "the kill switch could not be armed"; fi
}
if [ -n "$SPAWN_KILL_AFTER_S" ]; then arm "$(($(now) + SPAWN_KILL_AFTER_S))"; fi
per_boot=/var/lib/cloud/scripts/per-boot
if [ -z "$root" ] && [ -d "$per_boot" ]; then
  cat >"$per_boot/00-spawn-kill-switch" <<'HOOK'
#!/bin/sh
deadline=$(cat /var/lib/spawn/deadline 2>/dev/null) || exit 0
left=$((deadline - $(date +%s)))
if [ "$left" -le 0 ]; then shutdown -h now; else shutdown -P "+$(((left + 59) / 60))"; fi
HOOK
  chmod 755 "$per_boot/00-spawn-kill-switch"
fi

# ---- Who am I? (IMDSv2) -------------------------------------------------------------------------------------------------
imds=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
imds_token() {
  curl -sf --max-time 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$imds/latest/api/token"
}
imds_get() { curl -sf --max-time 5 -H "X-aws-ec2-metadata-token: $token" "$imds/latest/$1"; }
until token=$(imds_token) && [ -n "$token" ]; do sleep 2; done
until id=$(imds_get meta-data/instance-id) && [ -n "$id" ]; do sleep 2; done
until document=$(imds_get dynamic/instance-identity/document) && [ -n "$document" ]; do sleep 2; done
field() { printf '%s\n' "$document" | tr ',{}' '\n\n\n' | sed -n "s/^[[:space:]]*\"$1\"[[:space:]]*:[[:space:]]*\"\([^\"]*\)\".*/\1/p" | head -n 1; }
region=$(field region)
account=$(field accountId)
partition=$(imds_get meta-data/services/partition) || partition=aws
arn="arn:$partition:ec2:$region:$account:instance/$id"
key="{\"pk\":{\"S\":\"INSTANCE#$arn\"},\"sk\":{\"S\":\"INSTANCE\"}}"
export AWS_MAX_ATTEMPTS=5 AWS_RETRY_MODE=standard AWS_PAGER=''
cli() { aws --cli-connect-timeout 5 --cli-read-timeout 30 "$@"; }

# again TRIES COMMAND...: until it succeeds, 1 s to 15 s apart, each machine at its own pace.
again() {
  tries=$1
  shift
  pause=1
  while ! "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep "$pause.$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')"
    pause=$((pause * 2))
    [ "$pause" -le 15 ] || pause=15
  done
}

# ---- The assignment: written once the launch is recorded. ----------------------------------------------------------------
assignment=$state/assignment
fetch_assignment() {
  cli dynamodb get-item --region "$SPAWN_HOME_REGION" --table-name "$SPAWN_TABLE" --key "$key" --consistent-read \
    --query Item.assignment.S --output text >"$assignment" 2>"$state/aws.log" &&
    [ -s "$assignment" ] && [ "$(head -n 1 "$assignment")" != None ]
}
# Without a ttl nothing else would end an instance that nobody assigns: about an hour, then it ends itself.
patience=240
[ -z "$SPAWN_KILL_AFTER_S" ] || patience=1000000
again "$patience" fetch_assignment || {
  say "no assignment: $(cat "$state/aws.log")"
  shutdown -h now
  exit 1
}

# decode VARIABLE TEXT: base64 into a variable, byte for byte, newlines at the end too.
decode() {
  decoded=$(printf %s "$2" | base64 -d && printf x) || decoded=x
  decoded=${decoded%x}
  # $1 is a name of this script or was checked by is_name; the value is not evaluated.
  eval "$1=\$decoded"
}
is_name() { case $1 in '' | [0-9]* | *[!A-Za-z0-9_]*) return 1 ;; *) return 0 ;; esac; }
sweep_id='' command='' user_data='' ttl_deadline='' on_complete=terminate completion_file='' completion_delay_s=0
results_bucket='' results_prefix='' result_file=result.json has_program=''
: >"$state/inputs"
: >"$state/environment"
while read -r name value more; do
  case $name in
    sweep_id | ttl_deadline | on_complete | completion_file | completion_delay_s | results_bucket | results_prefix | result_file)
      decode "$name" "$value" ;;
    command | user_data) decode "$name" "$value"; has_program=yes ;;
    input) printf '%s\n' "$value" >>"$state/inputs" ;;
    env) is_name "$value" && printf '%s %s\n' "$value" "$more" >>"$state/environment" ;;
  esac
done <"$assignment"
# The member's own deadline may only be earlier than the one that is armed.
if [ -n "$ttl_deadline" ]; then
  armed=$(cat "$state/deadline" 2>/dev/null) || armed=''
  if [ -z "$armed" ] || [ "$ttl_deadline" -lt "$armed" ]; then arm "$ttl_deadline"; fi
fi

# ---- Reporting ------------------------------------------------------------------------------------------------------------
log=$state/output.log
outbox=$state/outbox
work=$state/work
mkdir -p "$work" "$outbox"
: >"$log"
put_outbox() { cli s3 cp --recursive --only-show-errors "$outbox/" "s3://$results_bucket/$results_prefix/" >"$state/aws.log" 2>&1; }
upload() { # upload TRIES
  tail -c 65536 "$log" >"$outbox/log.txt"
  if [ -n "${SPAWN_OUTPUT_DIR:-}" ] && [ -d "$SPAWN_OUTPUT_DIR" ]; then cp -R "$SPAWN_OUTPUT_DIR/." "$outbox/" 2>/dev/null; fi
  result=''
  if [ -f "$work/$result_file" ]; then
    result=$results_prefix/$result_file
    mkdir -p "$outbox/$(dirname "$result_file")" && cp "$work/$result_file" "$outbox/$result_file"
  fi
  again "$1" put_outbox || { reason="$reason; the results could not be uploaded"; result=''; say "upload: $(cat "$state/aws.log")"; return 1; }
}
json() { printf %s "$1" | tr -d '\000-\037\177' | sed 's/\\/\\\\/g; s/"/\\"/g'; }
put_report() {
  cli dynamodb update-item --region "$SPAWN_HOME_REGION" --table-name "$SPAWN_TABLE" --key "$key" \
    --condition-expression 'attribute_exists(pk)' --update-expression "$report_set" \
    --expression-attribute-values "$report_values" >"$state/aws.log" 2>&1
}
report() { # report EXIT_CODE TRIES
  report_set='SET report_exit_code = :code, report_at = :at, report_reason = :reason'
  report_values="{\":code\":{\"N\":\"$1\"},\":at\":{\"N\":\"$(now)000\"},\":reason\":{\"S\":\"$(json "${reason#; }")\"}"
  if [ -n "$result" ]; then
    report_set="$report_set, report_result_key = :key"
    report_values="$report_values,\":key\":{\"S\":\"$(json "$result")\"}"
  fi
  [ -n "${reason#; }" ] || {
    report_set='SET report_exit_code = :code, report_at = :at'"${result:+, report_result_key = :key}"
    report_values=$(printf %s "$report_values" | sed 's/,":reason":{"S":""}//')
  }
  report_values="$report_values}"
  again "$2" put_report || { say "report: $(cat "$state/aws.log")"; return 1; }
  # News only: the ledger has the truth, and the end of the instance is news too.
  cli events put-events --region "$SPAWN_HOME_REGION" --entries \
    "[{\"Source\":\"spawn.member\",\"DetailType\":\"Spawn Member Report\",\"Detail\":\"{\\\"instance_arn\\\":\\\"$arn\\\"}\"}]" \
    >/dev/null 2>&1 || say 'the news of the report was not sent'
}
reason='' result='' program='' watcher=''
stop_children() {
  # The program leads a process group of its own: its children end with it.
  [ -z "$program" ] || kill "-${1:-TERM}" -- "-$program" 2>/dev/null || kill "-${1:-TERM}" "$program" 2>/dev/null
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
}
interrupted() {
  trap '' TERM INT HUP
  reason="$reason; the instance was shut down while its program ran"
  stop_children TERM
  upload 1
  # No exit code: the program did not end by itself, and the control plane knows why the instance did.
  say "${reason#; }"
  exit 143
}
trap interrupted TERM INT HUP

# ---- The program ----------------------------------------------------------------------------------------------------------
if [ -z "$has_program" ]; then
  say 'no command: running until ended'
  while :; do sleep 3600 & wait $!; done
fi
while read -r name value; do
  decode decoded "$value"
  export "$name=$decoded"
done <"$state/environment"
export SPAWN_OUTPUT_DIR="$state/output" SPAWN_RESULT_FILE="$work/$result_file" SPAWN_SPOT_NOTICE_FILE="$state/spot-notice.json"
mkdir -p "$SPAWN_OUTPUT_DIR" "$(dirname "$SPAWN_RESULT_FILE")"
cd "$work" || exit 1
copy_input() {
  case $1 in
    */) cli s3 cp --recursive --only-show-errors "$1" . ;;
    *) cli s3 cp --only-show-errors "$1" . ;;
  esac >>"$log" 2>&1
}
code=0
while read -r value; do
  decode uri "$value"
  # shellcheck disable=SC2154 # decode assigns it
  again 5 copy_input "$uri" || { code=1 reason="$reason; the input $uri could not be copied"; break; }
done <"$state/inputs"

shell=sh
command -v bash >/dev/null && shell=bash
spot_watch() {
  while sleep 5; do
    if imds_get meta-data/spot/instance-action >"$state/notice.new" 2>/dev/null; then
      mv "$state/notice.new" "$SPAWN_SPOT_NOTICE_FILE"
      say 'EC2 will take this spot instance back'
      upload 2
      return
    fi
  done
}
if [ "$code" -eq 0 ]; then
  # A session of its own, by a shell that reads the program's parts from its environment and evaluates none of them here.
  SPAWN_RUN_SHELL=$shell SPAWN_RUN_COMMAND=$command SPAWN_RUN_USER_DATA=$user_data SPAWN_RUN_STATE=$state
  export SPAWN_RUN_SHELL SPAWN_RUN_COMMAND SPAWN_RUN_USER_DATA SPAWN_RUN_STATE
  # shellcheck disable=SC2016 # expanded by the inner shell
  setsid sh -c '
    shell=$SPAWN_RUN_SHELL command=$SPAWN_RUN_COMMAND user_data=$SPAWN_RUN_USER_DATA state=$SPAWN_RUN_STATE
    unset SPAWN_RUN_SHELL SPAWN_RUN_COMMAND SPAWN_RUN_USER_DATA SPAWN_RUN_STATE
    if [ -n "$user_data" ]; then
      printf %s "$user_data" >"$state/user-data" && chmod 700 "$state/user-data"
      case $user_data in "#!"*) "$state/user-data" ;; *) "$shell" "$state/user-data" ;; esac || exit
    fi
    if [ -n "$command" ]; then exec "$shell" -c "$command"; fi
  ' </dev/null >>"$log" 2>&1 &
  program=$!
  unset SPAWN_RUN_SHELL SPAWN_RUN_COMMAND SPAWN_RUN_USER_DATA SPAWN_RUN_STATE
  spot_watch &
  watcher=$!
  if [ -n "$completion_file" ]; then
    while kill -0 "$program" 2>/dev/null && [ ! -e "$completion_file" ]; do sleep 1; done
  fi
  if [ -n "$completion_file" ] && [ -e "$completion_file" ]; then
    sleep "$completion_delay_s" & wait $!
    reason="$reason; completed by its completion file"
    stop_children TERM
    program=''
  else
    wait "$program"
    code=$?
    program=''
    if [ "$code" -gt 128 ]; then reason="$reason; killed by signal $((code - 128))"; fi
  fi
  kill "$watcher" 2>/dev/null
  watcher=''
fi

# ---- The end --------------------------------------------------------------------------------------------------------------
say "sweep $sweep_id: exit code $code${reason:+ ($reason)}"
upload 6
report "$code" 40
case $on_complete in
  # The control plane stops an instance that asks for it: a shutdown would terminate it, and its role may not stop.
  stop | hibernate | none) while :; do sleep 3600 & wait $!; done ;;
  *) shutdown -h now ;;
esac
