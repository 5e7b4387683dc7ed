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
    # Made here, as it may be shown before the lane has come to open it.
    touch "$output"
    "${as_root[@]}" "${apart[@]}" bun test --timeout 60000 --shard="$shard/$count" \
      --timings="$output.json" --timings=test/lab/timings.json --update-timings \
      "$@" >>"$output" 2>&1 &
    lane_pids+=($!)
  done
}

# join_lanes: shows what each lane says, the first one as it goes, and adds up what they count.
join_lanes() {
  local number output
  for number in "${!lane_names[@]}"; do
    output=${lane_outputs[number]}
    echo "== ${lane_names[number]}"
    # In the background: in the foreground a signal would wait for its end.
    tail --lines=+1 --follow --pid="${lane_pids[number]}" "$output" &
    wait $!
    # Bun ends with " 12 pass" and " 0 fail"; without these lines it did not come to its end.
    passed=$((passed + $(awk '$2 == "pass" { n = $1 } END { print n + 0 }' "$output")))
    failed=$((failed + $(awk '$2 == "fail" { n = $1; seen = 1 } END { print seen ? n : 1 }' "$output")))
    # Failures outside of any test, such as a file that cannot be loaded.
    failed=$((failed + $(awk '$2 ~ /^errors?$/ && $1 ~ /^[0-9]+$/ { n = $1 } END { print n + 0 }' "$output")))
  done
  lane_names=()
  lane_pids=()
  lane_outputs=()
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

# finish [--keep]: tells the slowest files, and keeps the times of all to deal them by from now on;
# says again what failed; the last line counts what ran; the exit status tells whether all passed.
finish() {
  # Not there where no lane came to its end.
  local timings=("$outputs"/*.json)
  [ ! -e "${timings[0]}" ] || bun test/lab/slowest.ts "$@" "${timings[@]}"
  show_failures
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
