# shellcheck shell=sh
# The monitor, see README.md: it stands before the boot runner and shares its names.
# shellcheck disable=SC2154,SC2034
poll_s=${SPAWN_POLL_S:-60} heartbeat_s=900
proc=${SPAWN_PROC:-/proc} sys=${SPAWN_SYS:-/sys}

# --- Readings: totals since boot, of which only differences count. What cannot be read is empty.
read_cpu() { # busy and all ticks
	{ read -r _ a b c d e f g h _ <"$proc/stat"; } 2>/dev/null || return
	busy_ticks=$((a + b + c + f + g + ${h:-0}))
	all_ticks=$((busy_ticks + d + e))
}
read_network() { # bytes in and bytes out, of what leads out of the machine
	all_in='' all_out=''
	while IFS=': ' read -r name in _ _ _ _ _ _ _ out _; do
		case $in in '' | *[!0-9]*) continue ;; esac
		case $name in lo | docker* | br-* | veth* | virbr* | cni* | flannel* | cali*) continue ;; esac
		all_in=$((${all_in:-0} + in)) all_out=$((${all_out:-0} + out))
	done 2>/dev/null <"$proc/net/dev"
	echo "$all_in $all_out"
}
read_disks() { # sectors of 512 bytes read and written, of whole disks
	all_in='' all_out=''
	for file in "$sys"/block/*/stat; do
		case $file in */loop* | */ram* | */dm-* | */md* | */zram*) continue ;; esac
		read -r _ _ in _ _ _ out _ <"$file" && all_in=$((${all_in:-0} + in)) all_out=$((${all_out:-0} + out))
	done 2>/dev/null
	echo "$all_in $all_out"
}
sum() { [ $# -lt 2 ] || echo $(($1 + $2)); }
read_gpus() { # the busiest, in percent
	most=''
	for use in $(nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2>/dev/null); do
		case $use in *[!0-9]*) most='' && break ;; esac
		[ "$use" -le "${most:--1}" ] || most=$use
	done
	echo "$most"
}
read_users() { # terminals in use, and who is in utmp
	seen=$(who 2>/dev/null) || return
	set -- "${root:-}"/dev/pts/[0-9]*
	[ -e "$1" ] || shift
	seen=$(printf %s "$seen" | grep -c .)
	[ "$seen" -ge $# ] || seen=$#
	echo "$seen"
}

judge() { # judge NAME VALUE LIMIT: whether one signal lets the window be idle
	[ "$3" != - ] || return 0
	note="$note$1 ${2:-?} "
	if [ -z "$2" ]; then
		[ "$window" = b ] || window=u
	elif [ "$2" -gt "$3" ]; then
		window=b
	fi
}
rate() { [ -z "$1" ] || [ -z "$2" ] || echo $((($2 - $1) * $3 / 1024 / window_s)); }

measure() { # one window: $window is i, b or u
	window=i note=''
	old_busy=${busy_ticks:-} old_all=${all_ticks:-} old_network=$network old_disks=$disks
	busy_ticks='' all_ticks=''
	read_cpu
	# shellcheck disable=SC2046
	network=$(sum $(read_network)) disks=$(sum $(read_disks)) gpu=
	[ "$gpu_max" = - ] || gpu=$(read_gpus)
	[ "${gpu_most:--1}" -le "${gpu:--1}" ] || [ -z "$gpu" ] || gpu=$gpu_most
	gpu_most='' cpu=
	[ -z "$old_all" ] || [ -z "$all_ticks" ] || [ "$all_ticks" -le "$old_all" ] ||
		cpu=$(((busy_ticks - old_busy) * 100 / (all_ticks - old_all)))
	judge 'cpu %' "$cpu" "$cpu_max"
	judge 'network KiB/s' "$(rate "$old_network" "$network" 1)" "$network_max"
	judge 'disk KiB/s' "$(rate "$old_disks" "$disks" 512)" "$disk_max"
	judge 'gpu %' "$gpu" "$gpu_max"
	judge users "$(read_users)" "$users_max"
	read -r up _ 2>/dev/null <"$proc/uptime" || up=0
	[ "${up%%.*}" -ge "$grace" ] || window=b
	windows_seen=$windows_seen$window
	[ ${#windows_seen} -le "$windows" ] || windows_seen=${windows_seen#?}
}

conclude() { # what the last windows say together
	idle=$(printf %s "$windows_seen" | tr -cd i)
	before=${windows_seen%%i*}
	if [ ${#windows_seen} -ge "$windows" ] && [ ${#idle} -ge "$agree" ]; then
		said=idle since=$(($(now) - (${#windows_seen} - ${#before}) * window_s))
	else
		case $windows_seen in *b*) said=busy ;; *u*) said=unknown ;; *) said=busy ;; esac
		since=$(now)
	fi
}

# --- Rates for the CloudWatch agent, which has none of its own: MB/s since the last time, by OTLP
tell_rates() {
	at=$(date +%s%3N) disks_now=$(read_disks) network_now=$(read_network) points=''
	for metric in $rates; do
		# shellcheck disable=SC2086
		case $metric in disk_*) set -- $disks_now $disks_then 512 ;; *) set -- $network_now $network_then 1 ;; esac
		[ $# = 5 ] && [ "$at" -gt "$rates_at" ] || continue
		case $metric in *_read_* | *_in_*) bytes=$((($1 - $3) * $5)) ;; *) bytes=$((($2 - $4) * $5)) ;; esac
		[ "$bytes" -ge 0 ] || continue # a counter that began anew
		micros=$((bytes * 1000 / (at - rates_at)))
		points="${points:+$points,}{\"name\":\"$metric\",\"unit\":\"Megabytes/Second\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"${at}000000\",\"asDouble\":$(printf '%d.%06d' $((micros / 1000000)) $((micros % 1000000))),\"attributes\":[{\"key\":\"InstanceId\",\"value\":{\"stringValue\":\"$instance\"}}]}]}}"
	done
	rates_at=$at disks_then=$disks_now network_then=$network_now
	[ -n "$points" ] && read -r port 2>/dev/null <"$dir/rates" || return 0
	request -H 'Content-Type: application/json' -d "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[$points]}]}]}" \
		"http://127.0.0.1:$port/v1/metrics" >/dev/null || say 'the CloudWatch agent did not take the rates'
}

say_activity() { # a change, and a heartbeat now and then
	[ "$said" != "$told" ] || [ $(($(now) - told_at)) -ge $heartbeat_s ] || return
	[ "$said" = "$told" ] || told_since=$since
	awscli dynamodb update-item --table-name "$SPAWN_TABLE" --key "$key" --condition-expression 'attribute_exists(pk)' \
		--update-expression 'SET report_heartbeat_at = :at, report_activity = :activity, report_activity_since = :since, report_activity_note = :note' \
		--expression-attribute-values "{\":at\":{\"N\":\"$(now)000\"},\":activity\":{\"S\":\"$said\"},\":since\":{\"N\":\"${told_since}000\"},\":note\":{\"S\":\"${note:-booted} \"}}" >/dev/null &&
		told=$said told_at=$(now)
}

# --- The end of its time, as the ledger has it now; what cannot be read changes nothing
ask_ledger() {
	row=$(awscli dynamodb get-item --table-name "$SPAWN_TABLE" --key "$key" \
		--projection-expression 'ttl_deadline, warning' --query 'Item.[ttl_deadline.N, warning.S]' --output text) || return
	end=${row%%"$tab"*} words=${row#*"$tab"}
	case $words in '' | None | "$warned") ;; *)
		warned=$words
		say "$words"
		echo "$words" | wall 2>/dev/null
		;;
	esac
	case $end in '' | *[!0-9]*) return 0 ;; esac
	end=$((end / 1000))
	# Only a new word counts: the machine itself moves its deadline on after a hibernation.
	[ "$end" != "$(cat "$dir/row_deadline" 2>/dev/null)" ] || return 0
	say "the ttl ends at $end"
	keep_deadline "$end" && echo "$end" >"$dir/row_deadline"
	# A passed deadline is the watcher's first, so that results are saved; the switch stands behind it.
	soon=$(($(now) + 60))
	if [ "$end" -gt "$soon" ]; then arm "$end"; else arm "$soon"; fi
}

ask_once() { # beside the monitor
	warned='' tab=$(printf '\t') errors=$dir/watch-error limit=10 patience=1
	ask_ledger
}

monitor() {
	windows_seen='' told='' told_at=0 said=busy since=$(now) warned='' network='' disks='' gpu_most='' tab=$(printf '\t')
	errors=$dir/monitor-error
	rules=$(get idle_rules)
	read -r cpu_max network_max disk_max gpu_max users_max window_s windows agree grace <<-EOF
		${rules:-5 10 20 - 0 60 5 4 300}
	EOF
	measure
	windows_seen=''
	next=$(($(now) + window_s)) next_ask=0
	rates=$(get rates) rates_at=0 disks_then='' network_then='' next_rates=0
	while :; do
		say_activity
		[ "$(now)" -lt "$next_ask" ] || { ask_ledger; tell; next_ask=$(($(now) + poll_s)); }
		sleep "$([ "$window_s" -lt 5 ] && echo 1 || echo 5)"
		if [ "$gpu_max" != - ]; then
			use=$(read_gpus)
			[ "${use:--1}" -le "${gpu_most:--1}" ] || gpu_most=$use
		fi
		[ -z "$rates" ] || [ "$(now)" -lt "$next_rates" ] || { tell_rates; next_rates=$(($(now) + metrics_s)); }
		[ "$(now)" -lt "$next" ] || { measure; conclude; next=$(($(now) + window_s)); }
	done
}

# --- Hibernation: time stands still. The switch is moved, never cancelled: to the most that EC2 lets a machine sleep.
asleep() {
	read -r kill_at _ <"$dir/deadline" || return
	echo "$(now) $kill_at" >"$dir/asleep"
	keep_deadline $((kill_at + 5184000)) && arm $((kill_at + 5184000))
}
awake() {
	read -r slept_at kill_at <"$dir/asleep" && rm -f "$dir/asleep" || return
	kill_at=$((kill_at + $(now) - slept_at))
	keep_deadline $kill_at && arm $kill_at
}
