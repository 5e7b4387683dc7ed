# Sourced by test/run and others: deals test files to lanes that run beside each other, and counts them.
#
# What is to be tested is dealt in parts. A lane takes the next part when it has ended one, so all of them
# end together. Each part is a process, in a network namespace of its own, with its Engine, HAProxys and
# clients: apart from the host's firewall (that of an ordinary Engine drops what the containers of another
# one send each other), from its addresses and ports, and from the other parts. It has no name, and so it
# is gone with its last process. Nothing outside is reached from there.

passed=0
failed=0
outputs=$(mktemp -d)
# Many tests ask what a client notices within milliseconds: with more lanes two processors are too busy.
PROMPT_LANES=2
# Others wait for seconds, whether it is the machine or an authority that takes so long. They get what time
# the prompt ones leave: see NICE.
PATIENT_LANES=2
# How many parts there have been, and those that are not counted yet.
parts=0
part_names=()
part_outputs=()
part_lanes=()
part_nice=()
part_versions=()
part_engines=()
part_flags=()
part_words=()
# The parts that run, by the number of their process, and the one that ended last.
running=()
ended=
# Where more files fail than this none is run once more: that is no accident.
MOST_ACCIDENTS=20

# The private Engine of the tests needs root. Asked for here, and not by every lane.
as_root=()
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then
  echo "the tests start a Docker Engine of their own, which takes root: using sudo"
  sudo true
  as_root=(sudo --preserve-env=PATH,HOME,XDG_CACHE_HOME,HAPROXY_VERSIONS,TEST_ENGINE)
fi
# As another user all that takes root fails, and says so.
apart=()
if [ "$(id -u)" = 0 ] || [ ${#as_root[@]} != 0 ]; then
  apart=(unshare --net -- sh -c 'PATH=$PATH:/usr/sbin:/sbin ip link set lo up && exec "$@"' lane)
fi

# No part outlives the script, and each cleans up: in the background they would not heed Ctrl-C.
end_parts() {
  local pid
  for pid in "${!running[@]}"; do "${as_root[@]}" kill -TERM "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$outputs"
}
trap end_parts EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# part NAME FILES...: what is to be tested; flags of bun's may be among the files.
part() {
  local name=$1
  shift
  deal "$name" 1 prompt "$@"
}

# parts NAME COUNT FILES...: the same in so many parts, which take equally long.
parts() {
  local name=$1 count=$2
  shift 2
  deal "$name" "$count" prompt "$@"
}

# patient NAME COUNT FILES...: the same for what asks nothing within milliseconds. It lets others go first;
# NICE says how much, by default 5.
patient() {
  local name=$1 count=$2
  shift 2
  deal "$name" "$count" patient "$@"
}

# deal NAME COUNT LANE FILES...
deal() {
  local name=$1 count=$2 lane=$3 shard
  shift 3
  for shard in $(seq "$count"); do
    part_names+=("$name$([ "$count" = 1 ] || echo ", part $shard of $count")")
    part_outputs+=("$outputs/$((parts += 1))")
    part_lanes+=("$lane")
    part_nice+=("$([ "$lane" = prompt ] && echo 0 || echo "${NICE:-5}")")
    # What it takes to run it once more.
    part_versions+=("${HAPROXY_VERSIONS:-2.6,3.4}")
    part_engines+=("${TEST_ENGINE:-docker}")
    part_flags+=("$(printf '%s\n' "$@" | grep '^--' || true)")
    part_words+=("--shard=$shard/$count $(printf '%q ' "$@")")
  done
}

# start_part NUMBER
start_part() {
  local output=${part_outputs[$1]} words
  eval "words=(${part_words[$1]})"
  # Made here, as it may be shown before the part has come to open it.
  touch "$output"
  HAPROXY_VERSIONS=${part_versions[$1]} TEST_ENGINE=${part_engines[$1]} \
    "${as_root[@]}" nice -n "${part_nice[$1]}" "${apart[@]}" bun test --timeout 120000 \
    --timings="$output.json" --timings=test/lab/timings.json --update-timings \
    "${words[@]}" >"$output" 2>&1 &
  running[$!]=$1
}

# run_parts FIRST: runs the parts from this number on, each as soon as a lane is free.
run_parts() {
  local first=$1 last=$((${#part_names[@]} - 1)) waiting number lane
  local -A most=([prompt]=$PROMPT_LANES [patient]=$PATIENT_LANES) used=([prompt]=0 [patient]=0)
  readarray -t waiting < <(seq "$first" "$last")
  while :; do
    for number in "${waiting[@]}"; do
      lane=${part_lanes[number]}
      [ "${used[$lane]}" -lt "${most[$lane]}" ] || continue
      start_part "$number"
      used[$lane]=$((used[$lane] + 1))
      unset "waiting[$((number - first))]"
    done
    [ ${#running[@]} != 0 ] || break
    if [ "$first" = "$last" ]; then follow_part "$first"; else show_next; fi
    lane=${part_lanes[ended]}
    used[$lane]=$((used[$lane] - 1))
  done
}

# show_next: waits until a part ends, whose number is in `ended` then, and shows what it says.
show_next() {
  local pid
  # Its status does not matter: what it says is counted.
  wait -n -p pid "${!running[@]}" || true
  ended=${running[pid]}
  unset "running[$pid]"
  echo "== ${part_names[ended]}"
  cat "${part_outputs[ended]}"
}

# follow_part NUMBER: the same for the only one, which is shown as it goes.
follow_part() {
  local pid=${!running[*]}
  ended=$1
  echo "== ${part_names[ended]}"
  # In the background: in the foreground a signal would wait for its end.
  tail --lines=+1 --follow --pid="$pid" "${part_outputs[ended]}" &
  wait $!
  unset "running[$pid]"
}

# run_all: runs all parts that are dealt, and adds up what they count. Files with failures are run once
# more: see `run_once_more`.
run_all() {
  local output
  run_parts 0
  for output in "${part_outputs[@]}"; do
    passed=$((passed + $(count_passed "$output")))
    failed=$((failed + $(count_failed "$output")))
  done
  [ "$failed" = 0 ] || run_once_more
}

# Bun ends with " 12 pass" and " 0 fail"; without these lines it did not come to its end.
count_passed() {
  awk '$2 == "pass" { n = $1 } END { print n + 0 }' "$1"
}

# With failures outside of any test, such as a file that cannot be loaded.
count_failed() {
  awk '$2 == "fail" { n = $1; seen = 1 } $2 ~ /^errors?$/ && $1 ~ /^[0-9]+$/ { more = $1 }
       END { print (seen ? n : 1) + more }' "$1"
}

# failed_files OUTPUT: the files with failed tests, by bun's heading of each file.
failed_files() {
  awk '/^test\/.*\.ts:$/ { file = substr($0, 1, length($0) - 1) }
       / tests? failed:$/ { exit }
       /^\(fail\)/ && file != "" { print file; file = "" }' "$1"
}

# run_once_more: runs each file with failures a second time, by itself. Many tests ask what a client
# notices within milliseconds, and beside other lanes a machine may be too busy for that. What fails
# again has failed; what passes then has passed, and is named.
run_once_more() {
  local number count=${#part_names[@]} all output again flags files before after
  all=$(for output in "${part_outputs[@]}"; do failed_files "$output"; done | wc -l)
  [ "$all" -le "$MOST_ACCIDENTS" ] || return 0
  for ((number = 0; number < count; number++)); do
    output=${part_outputs[number]}
    readarray -t files < <(failed_files "$output")
    [ ${#files[@]} != 0 ] || continue
    readarray -t flags < <(printf '%s' "${part_flags[number]}")
    HAPROXY_VERSIONS=${part_versions[number]} TEST_ENGINE=${part_engines[number]} \
      part "once more, by themselves: ${files[*]}" "${flags[@]}" "${files[@]}"
    run_parts $((${#part_names[@]} - 1))
    again=${part_outputs[-1]}
    before=$(count_failed "$output")
    after=$(count_failed "$again")
    failed=$((failed - before + after))
    passed=$((passed + before - after))
    # Its failures are told from the second run.
    mv "$output" "$output.first"
  done
}

# show_failures: says again what failed, as it is far up among thousands of lines: bun's error, then
# the test. An error outside of any test, and the end of a part that broke off, have no test.
show_failures() {
  [ "$failed" != 0 ] || return 0
  echo "== failed"
  awk 'function tell() { if (error != "") printf "%s", error; error = ""; lines = 0 }
       function forget() { error = ""; lines = 0 }
       FNR == 1 { if (broken) tell(); else forget(); broken = 1; told = 0 }
       # Bun repeats their names at the end.
       / tests? failed:$/ { told = 1 }
       told && /^\((pass|fail)\)/ { next }
       /^# Unhandled error/ { outside = 1 }
       /^([A-Za-z]*[Ee]rror): / { forget(); lines = 1 }
       /^\((pass|fail)\)/ || / (pass|fail|errors?)$/ {
         if ($1 == "(fail)" || outside) tell(); else forget()
         if ($1 == "(fail)") print
         outside = 0
       }
       $2 == "fail" { broken = 0 }
       lines && lines++ <= 12 && NF { error = error $0 "\n" }
       END { if (broken) tell() }' "$outputs"/*[0-9]
}

# show_accidents: names what failed in the first run of a file that was run twice.
show_accidents() {
  local first=("$outputs"/*.first)
  [ -e "${first[0]}" ] || return 0
  echo "== failed beside other lanes, and was run once more"
  cat "${first[@]}" | grep '^(fail)' | sort -u
}

# finish [--keep]: tells the slowest files, and keeps the times of all to deal them by from now on;
# says again what failed; the last line counts what ran; the exit status tells whether all passed.
finish() {
  # Not there where no part came to its end.
  local timings=("$outputs"/*.json)
  [ ! -e "${timings[0]}" ] || bun test/lab/slowest.ts "$@" "${timings[@]}"
  show_accidents
  show_failures
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
