# shellcheck shell=sh
# The boot runner, see README.md. "#!/bin/sh", SPAWN_TABLE, SPAWN_BUS, SPAWN_HOME_REGION, SPAWN_KILL_AFTER_S, monitor.sh come before it.
set -u
umask 077
root=${SPAWN_ROOT:-}
root=${root%/}
dir=$root/var/lib/spawn
assignment=$dir/assignment log=$dir/log work=$dir/work out=$dir/output notice=$dir/spot-notice.json
patience=${SPAWN_PATIENCE_S:-300} # seconds of retries
metrics_s=${SPAWN_METRICS_S:-60} # seconds between readings
limit=0 # seconds for an AWS command; 0: only its own time-outs
errors=$dir/error
reason='' code='' key='' result_key='' ended=''

say() { printf 'spawn: %s\n' "$*" >&2; }
now() { date +%s; }
because() { reason=${reason:+$reason; }$*; }

# --- The kill switch: needs no network, survives a reboot, is moved and never cancelled
end_machine() { shutdown -h now || { [ -z "$root" ] && systemctl poweroff --force --force; }; }

arm() { # arm EPOCH; where shutdown cannot schedule it, a process of our own waits
	left=$(($1 - $(now)))
	[ "$left" -gt 0 ] || { end_machine; return; }
	shutdown -P "+$(((left + 59) / 60))" || {
		(sleep "$left"; expire) &
	}
}

expire() { # unless the end was moved on meanwhile
	read -r end _ <"$dir/deadline" && [ "$end" -gt "$(now)" ] || { end_machine; return; }
	arm "$end"
}

# With the machine's id: an image made of it must not carry the deadline along.
keep_deadline() { echo "$1 $(machine)" >"$dir/deadline.new" && mv "$dir/deadline.new" "$dir/deadline"; }
machine() { cat "$root/var/lib/cloud/data/instance-id" 2>/dev/null; }

start_unit() { # of its own: it gets SIGTERM before the network goes, and boot does not wait for it
	[ -z "$root" ] && [ -d /run/systemd/system ] && [ -f "$dir/runner" ] &&
		systemd-run --unit=spawn-member --setenv=SPAWN_DETACHED=1 -p After=network-online.target -p KillMode=process \
			-p OOMPolicy=continue -p TimeoutStopSec=90 -p StandardError=journal+console /bin/sh "$dir/runner" "$@"
}
hook() { # hook DIRECTORY ARGUMENT
	mkdir -p "$root$1" && printf '#!/bin/sh\nexec /bin/sh "%s" %s\n' "$dir/runner" "$2" >"$root$1/spawn-kill-switch" &&
		chmod 700 "$root$1/spawn-kill-switch"
}

case ${1:-} in
rearm) # at every later boot; after a stop the ledger may have moved the end on: there is time to ask, and no more
	if read -r kill_at mark <"$dir/deadline" && [ "$mark" = "$(machine)" ]; then
		soon=$(($(now) + 180))
		[ "$kill_at" -gt "$soon" ] || kill_at=$soon
		arm "$kill_at"
	fi
	[ ! -s "$assignment" ] || start_unit resume
	exit
	;;
pre) asleep; exit ;;
post) awake; exit ;;
esac
if [ -z "${SPAWN_DETACHED:-}" ]; then
	kill_at=
	if [ -n "$SPAWN_KILL_AFTER_S" ]; then
		kill_at=$(($(now) + SPAWN_KILL_AFTER_S))
		arm "$kill_at"
	fi
	rm -rf "$dir"
	mkdir -p "$dir"
	[ ! -f "$0" ] || cp "$0" "$dir/runner"
	if [ -n "$kill_at" ]; then
		keep_deadline "$kill_at"
	fi
	hook /var/lib/cloud/scripts/per-boot rearm
	hook /usr/lib/systemd/system-sleep "\"\$1\""
	start_unit && exit 0
elif [ -f "$dir/deadline" ]; then
	read -r kill_at mark <"$dir/deadline"
fi

# --- Calls to AWS
awscli() {
	AWS_PAGER='' AWS_CLI_FILE_ENCODING=UTF-8 AWS_MAX_ATTEMPTS=4 AWS_RETRY_MODE=standard timeout --foreground "$limit" \
		aws --region "$SPAWN_HOME_REGION" --cli-connect-timeout 5 --cli-read-timeout 30 "$@" </dev/null 2>"$errors"
}

pause() { # delay/2 to delay seconds; doubles delay
	jitter=$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')
	ms=$((delay * (500 + ${jitter:-0} % 500)))
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	delay=$((delay * 2))
	[ "$delay" -le 15 ] || delay=15
}

retry() { # until it succeeds, patience ends, or AWS has refused three times
	delay=1 tries=0 give_up=$(($(now) + patience))
	until "$@"; do
		tries=$((tries + 1))
		say "$1 failed: $(problem)"
		[ "$tries" -lt 3 ] || ! grep -Eq "$refused" "$dir/error" || return 1
		[ "$(now)" -lt "$give_up" ] || return 1
		pause
	done
}
refused='AccessDenied|NoSuch|\(40[34]\)|ConditionalCheck|Validation|InvalidBucket|nothing there'
problem() { grep . "$dir/error" | tail -n 1; }

# --- Who am I? (IMDSv2 only)
imds=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
imds=${imds%/}/latest
token='' token_at=0
request() { curl -sf --noproxy '*' --max-time 5 "$@"; }
metadata() { request -H "X-aws-ec2-metadata-token: $token" "$imds/$1"; }
fresh_token() { # good for six hours
	[ $(($(now) - token_at)) -ge 10000 ] || return 0
	token=$(request -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$imds/api/token") && token_at=$(now)
}
field() { printf '%s\n' "$identity" | sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\\([^\"]*\\)\".*/\\1/p"; }
identify() {
	fresh_token && identity=$(metadata dynamic/instance-identity/document) || return
	instance=$(field instanceId) region=$(field region) account=$(field accountId)
	[ -n "$instance" ] && [ -n "$region" ] && [ -n "$account" ] || return
	partition=$(metadata meta-data/services/partition)
	case ${partition:=aws}.$region in
	aws.cn-*) partition=aws-cn ;;
	aws.us-gov-*) partition=aws-us-gov ;;
	esac
}
began=$(now)
wait_more() { # without a ttl, a machine that gets no work ends after an hour
	[ -n "${kill_at:-}" ] || [ $(($(now) - began)) -lt 3600 ] || { end_machine; exit 1; }
	pause
}

delay=1
until identify; do
	say 'no instance metadata'
	wait_more
done
arn=arn:$partition:ec2:$region:$account:instance/$instance
key="{\"pk\":{\"S\":\"INSTANCE#$arn\"},\"sk\":{\"S\":\"INSTANCE\"}}"

# --- The assignment: "key base64" lines; no value is ever evaluated
read_assignment() {
	awscli dynamodb get-item --table-name "$SPAWN_TABLE" --key "$key" --consistent-read \
		--query Item.assignment.S --output text >"$assignment" || { say "no assignment: $(problem)"; return 1; }
	grep -q '^sweep_id ' "$assignment"
}
delay=1
[ "${1:-}" = resume ] || until read_assignment; do wait_more; done

get() { sed -n "/^$1 /{s///p;q;}" "$assignment" | base64 -d; }
command=$(get command)
log_group=$(get log_group)
completion_file=$(get completion_file) completion_delay_s=$(get completion_delay_s)
result_file=$(get result_file) bucket=$(get results_bucket) prefix=$(get results_prefix)
hook=$(get on_interruption) on_complete=$(get on_complete) deadline=$(get ttl_deadline)
say "this is $arn"
[ "${1:-}" != resume ] || { monitor; exit; }

if [ -n "$deadline" ] && [ "$deadline" -lt "${kill_at:-99999999999}" ]; then
	keep_deadline "$deadline"
	echo "$deadline" >"$dir/row_deadline"
	arm "$deadline"
	[ "$deadline" -gt "$(now)" ] || exit 1
fi

# --- The program
case $result_file in /*) ;; *) result_file=$work/$result_file ;; esac
result_file=$(realpath -ms "$result_file")
mkdir -p "$out" "$dir/tmp" "$work" "${result_file%/*}"
cd "$work" || say "no $work"
: >"$dir/start"
: >"$log"
sed -n 's/^user_data //p' "$assignment" | base64 -d >"$dir/user_data" && chmod 700 "$dir/user_data"

copy() { # with a trailing slash: all below it
	case $1 in */) set -- "$1" --recursive ;; esac
	awscli s3 cp "$1" . --no-progress ${2:+"$2"} >"$dir/copied" || return
	[ -s "$dir/copied" ] || { echo 'nothing there' >"$dir/error"; return 1; }
}
copy_inputs() {
	while read -r name value; do
		[ "$name" = input ] || continue
		uri=$(printf %s "$value" | base64 -d)
		retry copy "$uri" || { because "input $uri could not be copied: $(problem)"; return 1; }
	done <"$assignment"
}

program() ( # program, or "program hook"
	umask 022
	mode=${1:-}
	shell=$(command -v bash || command -v sh)
	set -- "AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-$region}" "HOME=${HOME:-/root}" "TMPDIR=$dir/tmp" \
		"SPAWN_INSTANCE_ID=$instance" "SPAWN_REGION=$region" "SPAWN_OUTPUT_DIR=$out" "SPAWN_SPOT_NOTICE_FILE=$notice" \
		"SPAWN_RESULT_FILE=$result_file"
	while read -r kind name value; do
		[ "$kind" = env ] || continue
		case $name in '' | [0-9]* | *[!A-Za-z0-9_]*) continue ;; esac
		value=$(printf %s "$value" | base64 -d && printf x) || exit 125
		set -- "$@" "$name=${value%x}"
	done <"$assignment"
	# Background jobs ignore SIGINT and SIGQUIT; the program shall not.
	env --default-signal=INT,QUIT true 2>/dev/null && set -- --default-signal=INT,QUIT "$@"
	[ -z "$mode" ] || exec env "$@" "$shell" -c -- "$hook"
	if [ -s "$dir/user_data" ]; then
		case $(head -c 2 "$dir/user_data") in
		'#!') env "$@" "$dir/user_data" ;;
		*) env "$@" "$shell" "$dir/user_data" ;;
		esac || { rc=$?; say "user_data ended with exit code $rc"; exit "$rc"; }
		[ -n "$command" ] || [ -n "$completion_file" ] || exit 0
	fi
	[ -z "$command" ] || exec env "$@" "$shell" -c -- "$command"
	while :; do sleep 86400; done
)

descendants() {
	for child in $(cat "/proc/$1/task/"*/children 2>/dev/null || pgrep -P "$1"); do
		echo "$child"
		descendants "$child"
	done
}
end_below() { # end_below PID SECONDS: SIGTERM to all below PID, SIGKILL after so long
	list=$(descendants "$1")
	signal=TERM rounds=$(($2 * 5))
	while [ -n "$list" ] && [ "$rounds" -ge 0 ]; do
		[ "$rounds" -gt 0 ] || signal=KILL list="$list $(descendants "$1")"
		alive=
		for process in $list; do ! kill "-$signal" "$process" 2>/dev/null || alive="$alive $process"; done
		signal=0 list=$alive rounds=$((rounds - 1))
		[ -z "$list" ] || sleep 0.2
	done
}

# --- The program's output, to the sweep's log group
# Bytes: of one call, which takes 1 MiB and 10,000 lines; of a running program, so that there is room for its last words.
log_part=131072 log_most=786432
say_lines() { # as JSON for PutLogEvents, on standard output; what is no text is left out
	{ iconv -cs -f UTF-8 -t UTF-8 2>/dev/null || :; } | tr -d '\000-\010\013-\037' | grep . |
		sed -e 's/[\\"]/\\&/g' -e "s/$(printf '\t')/\\\\t/g" -e "s/.*/{\"timestamp\":$(date +%s%3N),\"message\":\"&\"}/" \
			-e '1s/^/[/' -e '1!s/^/,/' -e '$s/$/]/'
}
tell() { # tell [all]: what the program has said since the last time; "all": to its end, and of too much the end
	[ -n "$log_group" ] && [ -s "$log" ] || return 0
	tries=50
	until mkdir "$dir/telling" 2>/dev/null; do # one at a time
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] && [ -n "${1:-}" ] || return 0
		sleep 0.2
	done
	while tell_part "$@"; do :; done
	rmdir "$dir/telling"
}
tell_part() {
	told_to=0
	[ ! -f "$dir/told" ] || read -r told_to <"$dir/told"
	left=$(($(wc -c <"$log") - told_to))
	if [ -n "${1:-}" ]; then
		if [ "$left" -gt $((2 * log_part)) ]; then
			told_to=$((told_to + left - 2 * log_part)) left=$((2 * log_part))
		fi
	else
		[ "$told_to" -lt "$log_most" ] || return 1
	fi
	[ "$left" -gt 0 ] || return 1
	tail -c "+$((told_to + 1))" "$log" | head -c "$log_part" | head -n 9000 >"$dir/part"
	size=$(wc -c <"$dir/part")
	# A line that is not whole yet waits, unless there will be no more of it.
	rest=0
	[ -z "$(tail -c 1 "$dir/part" | tr -d '\n')" ] || rest=$(tail -n 1 "$dir/part" | wc -c)
	if [ -z "${1:-}" ] || [ "$left" -gt "$size" ]; then
		if [ "$rest" -lt "$size" ]; then
			size=$((size - rest))
		elif [ "$size" -lt "$log_part" ]; then
			return 1
		fi
	fi
	head -c "$size" "$dir/part" | say_lines >"$dir/lines"
	if [ -s "$dir/lines" ]; then
		if [ ! -e "$dir/stream" ]; then
			awscli logs create-log-stream --log-group-name "$log_group" --log-stream-name "$instance" ||
				grep -q AlreadyExists "$errors" || { say "no log stream: $(problem)"; return 1; }
			: >"$dir/stream"
		fi
		awscli logs put-log-events --log-group-name "$log_group" --log-stream-name "$instance" \
			--log-events "file://$dir/lines" >/dev/null || { say "output was not logged: $(problem)"; return 1; }
	fi
	echo $((told_to + size)) >"$dir/told"
}

# --- The machine's metrics, by the CloudWatch agent, where the sweep wants them. Whatever goes wrong here changes nothing else.
agent_home=$root/opt/aws/amazon-cloudwatch-agent
find_agent() {
	ctl=$agent_home/bin/amazon-cloudwatch-agent-ctl
	[ -x "$ctl" ] || ctl=$(command -v amazon-cloudwatch-agent-ctl)
}
agent() { # agent ACTION...; the agent runs as another user and reads what is written here
	(umask 022; exec timeout --foreground 120 "$ctl" -m ec2 "$@") </dev/null >"$dir/agent.log" 2>&1
}
configure() { # configure PART...: with these parts, beside what the image's owner has configured
	parts=''
	for part; do
		text=$(get "$part")
		[ -z "$text" ] || parts=${parts:+$parts,}$text
	done
	[ -n "$parts" ] || return
	head=$(get agent)
	printf '%s%s%s\n' "${head%@parts@*}" "$parts" "${head#*@parts@}" | sed -e "s/@instance@/$instance/g" -e "s/@every@/$metrics_s/g" \
		-e "s/@type@/$(field instanceType)/g" -e "s/@region@/$SPAWN_HOME_REGION/g" -e "s/@port@/$port/g" >"$dir/spawn.json"
	agent -a append-config -s -c "file:$dir/spawn.json"
}
start_agent() {
	errors=$dir/agent-error gpu=agent_gpu lacks=''
	if [ -z "$(get agent)" ]; then
		# An image that was made of a member has that one's configuration, with its id.
		if [ -e "$agent_home/etc/amazon-cloudwatch-agent.d/file_spawn.json" ] && find_agent; then
			agent -a remove-config -c "file:$dir/spawn.json"
			agent -a stop
			[ -z "$(ls "$agent_home/etc/amazon-cloudwatch-agent.d")" ] || agent -a start
		fi
		return
	fi
	if ! find_agent; then
		for tool in dnf yum; do
			! command -v "$tool" >/dev/null || timeout --foreground 300 "$tool" install -y -q amazon-cloudwatch-agent >"$dir/agent.log" 2>&1 || continue
			find_agent && break
		done
	fi
	# Its own port: where members share a machine, and where a program has a collector on the usual one.
	port=$((20000 + 0x$(printf %s "$instance" | tail -c 4) % 10000))
	if [ -z "$(get agent_gpu)" ]; then
		gpu=''
	elif ! command -v nvidia-smi >/dev/null; then
		gpu='' lacks='gpu_utilization: there is no nvidia-smi'
	fi
	if [ -z "$(get agent_host)$(get agent_rates)$gpu" ]; then
		:
	elif [ -z "$ctl" ]; then
		lacks='all: the image has no CloudWatch agent, and its distribution no package of it'
	elif configure agent_host ${gpu:+"$gpu"} agent_rates; then
		[ -z "$(get rates)" ] || echo "$port" >"$dir/rates"
	elif [ -n "$(get agent_rates)" ] && configure agent_host ${gpu:+"$gpu"}; then
		lacks="${lacks:+$lacks; }$(get rates): this CloudWatch agent takes no OTLP; 1.300048 and later do"
	else
		lacks="all: the CloudWatch agent did not take its configuration: $(grep . "$dir/agent.log" | tail -n 1)"
	fi
	[ -n "$lacks" ] || return
	say "metrics that are not sent: $lacks" 2>>"$log"
	awscli dynamodb update-item --table-name "$SPAWN_TABLE" --key "$key" --condition-expression 'attribute_exists(pk)' \
		--update-expression 'SET report_metrics_note = :note' --expression-attribute-values "{\":note\":{\"S\":\"$(plain "$lacks")\"}}" >/dev/null
}

# --- Results and report
upload() {
	awscli s3 cp "$out" "s3://$bucket/$prefix/" --recursive --only-show-errors && return 0
	[ "$?" = 2 ] && because 'some output files were skipped' # broken links, sockets
}
save() { # log tail, result and SPAWN_OUTPUT_DIR in one upload
	tail -c 65536 "$log" >"$out/log.txt"
	result_key=
	name=${result_file#"$work/"}
	case $name in /*) name=${name##*/} ;; esac
	if [ -f "$result_file" ]; then
		mkdir -p "$(dirname "$out/$name")"
		ln -fL "$result_file" "$out/$name" 2>/dev/null || cp "$result_file" "$out/$name" && result_key=$prefix/$name
	fi
	retry upload || { result_key=''; because "results could not be uploaded: $(problem)"; }
}

plain() { printf %s "$1" | tr '\n"\134' " '/" | LC_ALL=C tr -cd ' -~' | cut -c 1-500; }
update() {
	set -- "SET report_at = :at" "\":at\":{\"N\":\"$(date +%s%3N)\"}"
	[ ! -e "$dir/interrupted" ] || set -- "$1, report_interrupted = :i" "$2,\":i\":{\"BOOL\":true}"
	[ -z "$code" ] || set -- "$1, report_exit_code = :code" "$2,\":code\":{\"N\":\"$code\"}"
	[ -z "$result_key" ] || set -- "$1, report_result_key = :key" \
		"$2,\":key\":{\"S\":\"$(printf %s "$result_key" | tr -d '\000-\037' | sed 's/["\\]/\\&/g')\"}"
	[ -z "$reason" ] || set -- "$1, report_reason = :reason" \
		"$2,\":reason\":{\"S\":\"$(plain "$reason")\"}"
	awscli dynamodb update-item --table-name "$SPAWN_TABLE" --key "$key" --condition-expression 'attribute_exists(pk)' \
		--update-expression "$1" --expression-attribute-values "{$2}" >/dev/null
}
report() {
	[ ! -s "$notice" ] || because 'after a spot notice'
	retry update || return
	: >"$dir/reported"
	awscli events put-events --entries \
		"EventBusName=${SPAWN_BUS:-default},Source=spawn.member,DetailType='Spawn Member Report',Detail='{\"instance_arn\":\"$arn\"}'" >/dev/null
}

hurry() { # at SIGTERM: a shutdown, or the ttl has passed
	trap '' TERM INT HUP
	[ ! -e "$dir/reported" ] || exit 0
	limit=40 patience=0
	[ -z "${watcher:-}" ] || kill "$watcher" 2>/dev/null
	[ -z "${monitor:-}" ] || kill "$monitor" 2>/dev/null
	if [ -z "$ended" ]; then
		# How the program ends from here on is our doing, and no exit code.
		code=$(cat "$dir/exit_code" 2>/dev/null)
		[ "${code:-128}" -lt 128 ] || code=
		[ -z "${runs:-}" ] || end_below "$runs" 5
		because "$(cat "$dir/ending" 2>/dev/null || echo 'the machine was shut down')"
	fi
	save
	report
	rmdir "$dir/telling" 2>/dev/null
	tell all
	[ ! -e "$dir/ending" ] || end_machine
	exit 0
}

interrupt() { # run the hook for as long as EC2 leaves, less 20 s to upload; then the program is over
	at=$(date -d "$(sed -n 's/.*"time"[^"]*"\([^"]*\)".*/\1/p' "$notice")" +%s 2>/dev/null) || at=$(($(now) + 110))
	left=$((at - $(now) - 20))
	(program hook >>"$log" 2>&1 </dev/null) &
	hook_pid=$!
	while kill -0 "$hook_pid" 2>/dev/null && [ "$left" -gt 0 ] && [ ! -s "$dir/exit_code" ]; do sleep 1; left=$((left - 1)); done
	end_below "$hook_pid" 2
	[ ! -s "$dir/exit_code" ] || return
	: >"$dir/interrupted"
	end_below "$runs" 5
}

watch() { # beside the program: ttl, completion file, spot notice
	spot=1 every=5 asked=''
	fresh_token
	[ "$(metadata meta-data/instance-life-cycle)" != on-demand ] || spot=
	[ -z "$completion_file" ] || every=1
	while sleep "$every"; do
		deadline=
		[ ! -f "$dir/deadline" ] || read -r deadline _ <"$dir/deadline"
		if [ -n "$deadline" ] && [ "$asked" != "$deadline" ] && [ "$(now)" -ge $((deadline - 20)) ]; then
			# The end may have been moved on since the monitor asked.
			asked=$deadline
			(ask_once)
			read -r deadline _ <"$dir/deadline"
		fi
		if [ -n "$deadline" ] && [ "$(now)" -ge "$deadline" ]; then
			echo 'the ttl passed' >"$dir/ending"
			kill -TERM $$
			return
		fi
		if [ -e "$completion_file" ] && [ -n "$(find "$completion_file" -prune -newer "$dir/start")" ]; then
			sleep "${completion_delay_s:-0}"
			: >"$dir/completed"
			end_below "$runs" 10
			return
		fi
		if [ -n "$spot" ] && [ $(($(now) % 5)) -lt "$every" ] && fresh_token && metadata meta-data/spot/instance-action >"$notice.new"; then
			mv "$notice.new" "$notice"
			say "spot notice: $(cat "$notice")"
			spot='' limit=90 patience=30
			save
			[ -z "$hook" ] || { interrupt; return; }
		fi
	done
}

trap hurry TERM INT HUP
start_agent &
monitor &
monitor=$!
if copy_inputs; then
	# A file too: it outlives an interrupted wait.
	(program >>"$log" 2>&1 </dev/null; rc=$?; echo "$rc" >"$dir/exit_code"; exit "$rc") &
	runs=$!
	watch &
	watcher=$!
	until [ -s "$dir/exit_code" ] || ! kill -0 "$runs" 2>/dev/null; do
		wait "$runs"
		code=$?
	done
	[ ! -s "$dir/exit_code" ] || code=$(cat "$dir/exit_code")
	ended=1
	if [ -e "$dir/interrupted" ] || { [ -s "$notice" ] && [ -n "$hook" ]; }; then
		wait "$watcher"
	elif [ -e "$dir/completed" ]; then
		wait "$watcher"
		code=0
		because 'completion file'
	else
		end_below "$watcher" 1
		kill "$watcher" 2>/dev/null
		[ "$code" -le 128 ] || [ "$code" -gt 192 ] || because "killed by signal $((code - 128))"
	fi
else
	say "$reason" 2>>"$log"
	ended=1 code=125
fi
say "exit code $code"
save
tell all
report

case $on_complete in
none | stop | hibernate) say "left as it is: $on_complete" ;; # the control plane stops it; the monitor goes on
*)
	kill "$monitor" 2>/dev/null
	until end_machine; do sleep 10; done
	;;
esac
