# Sourced after test/lab/lanes.sh: what each suite tests. It deals the parts; `run_all` runs them.

# check NAME COMMAND...: counts as one test.
check() {
  local name=$1
  shift
  if "$@"; then
    echo "(pass) $name"
    passed=$((passed + 1))
  else
    echo "(fail) $name: $*"
    failed=$((failed + 1))
  fi
}

# What needs no test to run.
check_code() {
  check "types" tsc
  check "types of the page" tsc -p src/api/admin/page
  check "lint" oxlint --type-aware src test .ci
  check "format" oxfmt --check src test .ci
  check "unused code" knip
  check "build" bun .ci/build.ts
}

# `npm test`. A browser takes a suite of its own, as it takes half a gigabyte, and so does a swarm, as it waits
# for minutes; what testssl.sh says is in the matrix.
deal_tests() {
  patient "certificates of an authority" 1 test/e2e/acme.test.ts test/e2e/certs.test.ts
  patient "services and releases" 4 test/release test/systemd
  patient "what commands print" 3 \
    test/e2e/{commands,documents,doctor-,explain-,routes-command,watch-command}
  parts "all" 16 --path-ignore-patterns='test/{browser,engines,release,storm,swarm,systemd,verdict}/**' \
    --path-ignore-patterns='test/e2e/{acme,certs,commands,documents,doctor-*,explain-*}.test.ts' \
    --path-ignore-patterns='test/e2e/{routes,watch}-command.test.ts' test
}

# `npm run test:matrix`. What hangs on neither HAProxy nor the Engine, such as what commands print, `npm test`
# has tested.
deal_matrix() {
  local by_haproxy=(addresses lifecycle managed refusals reload rolling routes-live runtime- unchanged)
  # Of the files that test HAProxy, only the cases that have its version in their name depend on it.
  local by_version=("--test-name-pattern=HAProxy [0-9]")
  HAPROXY_VERSIONS=2.6,3.4 patient "testssl.sh" 1 test/verdict
  HAPROXY_VERSIONS=3.0 TEST_ENGINE=podman patient "Podman with HAProxy 3.0" 1 \
    test/e2e/lifecycle.test.ts test/e2e/networks.test.ts test/e2e/routing.test.ts test/e2e/engine.test.ts
  HAPROXY_VERSIONS=3.0,3.2 parts "HAProxy 3.0 and 3.2" 4 "${by_version[@]}" \
    test/haproxy test/template test/golden.test.ts
  HAPROXY_VERSIONS=3.2 TEST_ENGINE=docker-28 parts "HAProxy 3.2 with Docker 28" 4 \
    "${by_version[@]}" "${by_haproxy[@]/#/test/e2e/}"
  HAPROXY_VERSIONS=3.2 TEST_ENGINE=docker-28 part "Docker 28" \
    test/e2e/engine.test.ts test/e2e/networks.test.ts test/e2e/routing.test.ts test/e2e/transport.test.ts
}

# `npm run test:browser`
deal_browser() {
  patient "browser" 2 test/browser
}

# `npm run test:storm`
deal_storm() {
  patient "storm" 1 test/storm
}

# `npm run test:swarm`. A manager that waits too long for a processor is none any more.
deal_swarm() {
  NICE=0 patient "swarm" 3 test/swarm
  # Its answers, and what it does with tasks.
  NICE=0 HAPROXY_VERSIONS=3.2 TEST_ENGINE=docker-28 patient "swarm of Docker 28" 1 test/swarm/network.test.ts
  NICE=0 patient "several Engines" 1 test/engines
}
