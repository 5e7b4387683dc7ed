# Sourced by test/run and test/matrix: runs test files in lanes beside each other, and counts them.
#
# Each lane is in a network namespace of its own, with its Engine, HAProxys and clients: apart from
# the host's firewall (that of an ordinary Engine drops what the containers of another one send each
# other), from its addresses and ports, and from the other lanes. It has no name, and so it is gone
# with its last process. Nothing outside is reached from there.

passed=0
failed=0
outputs=$(mktemp -d)
# How many lanes there have been, and those that are not shown yet.
started=0
lane_names=()
lane_pids=()
lane_outputs=()
lane_versions=()
lane_engines=()
lane_flags=()
# A lane in which more files fail than this is not run once more: that is no accident.
MOST_ACCIDENTS=5

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

# No lane outlives the script, and each cleans up: in the background they would not heed Ctrl-C.
end_lanes() {
  local pid
  for pid in "${lane_pids[@]}"; do "${as_root[@]}" kill -TERM "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$outputs"
}
trap end_lanes EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# lane NAME FILES...: starts a lane; flags of bun's may be among the files.
lane() {
  local name=$1
  shift
  lanes "$name" 1 "$@"
}

# lanes NAME COUNT FILES...: deals test files to so many lanes, by the time that each file takes.
lanes() {
  local name=$1 count=$2 shard output
  shift 2
  for shard in $(seq "$count"); do
    output=$outputs/$((started += 1))
    lane_names+=("$name$([ "$count" = 1 ] || echo ", lane $shard of $count")")
    lane_outputs+=("$output")
    # What it takes to run it once more.
    lane_versions+=("${HAPROXY_VERSIONS:-2.6,3.4}")
    lane_engines+=("${TEST_ENGINE:-docker}")
    lane_flags+=("$(printf '%s\n' "$@" | grep '^--' || true)")
    # Made here, as it may be shown before the lane has come to open it.
    touch "$output"
    "${as_root[@]}" "${apart[@]}" bun test --timeout 60000 --shard="$shard/$count" \
      --timings="$output.json" --timings=test/lab/timings.json --update-timings \
      "$@" >>"$output" 2>&1 &
    lane_pids+=($!)
  done
}

# join_lanes: shows what each lane says, the first one as it goes, and adds up what they count. Files with
# failures are run once more: see `run_once_more`.
join_lanes() {
  local number output
  for number in "${!lane_names[@]}"; do
    output=${lane_outputs[number]}
    echo "== ${lane_names[number]}"
    # In the background: in the foreground a signal would wait for its end.
    tail --lines=+1 --follow --pid="${lane_pids[number]}" "$output" &
    wait $!
    passed=$((passed + $(count_passed "$output")))
    failed=$((failed + $(count_failed "$output")))
  done
  [ "$failed" = 0 ] || run_once_more
  lane_names=()
  lane_pids=()
  lane_outputs=()
  lane_versions=()
  lane_engines=()
  lane_flags=()
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
  local number count=${#lane_names[@]} output again flags files before after
  for ((number = 0; number < count; number++)); do
    output=${lane_outputs[number]}
    readarray -t files < <(failed_files "$output")
    if [ ${#files[@]} = 0 ] || [ ${#files[@]} -gt "$MOST_ACCIDENTS" ]; then continue; fi
    readarray -t flags < <(printf '%s' "${lane_flags[number]}")
    HAPROXY_VERSIONS=${lane_versions[number]} TEST_ENGINE=${lane_engines[number]} \
      lane "once more, by themselves: ${files[*]}" "${flags[@]}" "${files[@]}"
    again=${lane_outputs[-1]}
    echo "== ${lane_names[-1]}"
    tail --lines=+1 --follow --pid="${lane_pids[-1]}" "$again" &
    wait $!
    before=$(count_failed "$output")
    after=$(count_failed "$again")
    failed=$((failed - before + after))
    passed=$((passed + before - after))
    # Its failures are told from the second run.
    mv "$output" "$output.first"
  done
}

# show_failures: says again what failed, as it is far up among thousands of lines: bun's error, then
# the test. An error outside of any test, and the end of a lane that broke off, have no test.
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
  # Not there where no lane came to its end.
  local timings=("$outputs"/*.json)
  [ ! -e "${timings[0]}" ] || bun test/lab/slowest.ts "$@" "${timings[@]}"
  show_accidents
  show_failures
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
