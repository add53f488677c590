#!/usr/bin/env bash
# The same change of manifests/web (version 1 to 2, three replicas behind HAProxy) under the same load,
# made in four ways: by Bowline's agent as the manifest says (one by one) and all at once, by `docker
# compose up -d`, and as docker-rollout does it (twice as many containers, wait for health, stop and
# remove the old ones). Prints the table of docs/benchmarks.md: medians of requests that failed, longest
# time without an answer, and time from the change until all is healthy and the old containers are gone;
# with Bowline until the last one was also watched for as long as the manifest says (6 s).
#
#   bench/zero-lost.sh [RUNS]
#
# Needs Docker, Debian's haproxy, git and curl. BIN: where `bowline` is (default: target/release, built
# there). COMPOSE: the program (default: Debian sid's, fetched). RESULTS: a file that keeps the figures
# of each run, so that runs add up. Everything made here is named `bench-zero...` and taken away.
set -euo pipefail
cd "$(dirname "$0")/.."
RUNS=${1:-3} RATE=${RATE:-2300} PORT=${PORT:-8199} STACK=bench-zero
WAYS=${WAYS:-bowline at_once compose rollout}
COMPOSE=${COMPOSE:-$(bench/get-compose.sh "${TMPDIR:-/tmp}/bowline-compose")}
BIN=${BIN:-target/release}
if [ "$BIN" = target/release ]; then cargo build --release --bin bowline --example load >&2; fi
work=$(mktemp -d) agent='' load=''
RESULTS=${RESULTS:-$work/results}

clean() { # what a run made
    if [ -n "$load" ]; then kill "$load" 2>/dev/null || true; load=''; fi
    if [ -n "$agent" ]; then kill "$agent" 2>/dev/null || true; wait "$agent" || true; agent=''; fi
    docker ps -aq --filter "label=com.docker.compose.project=$STACK" | xargs -r docker rm -fv >/dev/null
    docker network ls -q --filter "label=com.docker.compose.project=$STACK" | xargs -r docker network rm >/dev/null
}
end() {
    clean
    docker rmi -f $STACK-demo:1 $STACK-haproxy:1 >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

image() { # image NAME PROGRAM INSIDE CHANGE: the program and its libraries
    local root=$work/image library
    rm -rf "$root"
    install -D "$2" "$root$3"
    for library in $(ldd "$2" | grep -o '/[^ ]*'); do install -D "$library" "$root$library"; done
    tar -C "$root" -c . | docker import --change "$4" - "$1" >/dev/null
}

parallelism=1
version() { # version N: the compose file
    sed -e "s/parallelism: 1/parallelism: $parallelism/" -e "s/^name: web$/name: $STACK/; s/bowline-\(demo\|haproxy\):1/$STACK-\1:1/" \
        -e "s/VERSION: \"1\"/VERSION: \"$1\"/; s/\${WEB_PORT:-8181}/$PORT/" manifests/web/compose.yaml
}

pages() { docker ps -q --filter "label=com.docker.compose.project=$STACK" --filter label=com.docker.compose.service=page "$@"; }
healthy() { # healthy COUNT: waits for as many
    until [ "$(pages --filter health=healthy | wc -l)" -ge "$1" ]; do sleep 0.05; done
}
compose() { "$COMPOSE" -f "$work/repository/web/compose.yaml" "$@" >>"$work/compose.log" 2>&1; }

repository() { # version 1 of the stack, in a fresh repository
    rm -rf "$work/repository"
    mkdir -p "$work/repository/web"
    cp manifests/web/haproxy.cfg "$work/repository/web"
    git -C "$work/repository" init -q -b main
    commit 1
}
commit() { # commit N; prints the commit
    version "$1" >"$work/repository/web/compose.yaml"
    git -C "$work/repository" add .
    git -C "$work/repository" -c user.name=bench -c user.email=bench@localhost commit -q -m "version $1"
    git -C "$work/repository" rev-parse HEAD >"$work/head"
}

bowline_begin() {
    local listen=127.0.0.1:$((PORT + 1))
    rm -rf "$work/state"
    printf 'sources: [{ name: bench-zero, url: %s, interval: 1h }]\nhttp: { listen: "%s" }\nstate_dir: state\nsocket: bowline.sock\n' \
        "$work/repository" "$listen" >"$work/config.yaml"
    "$BIN/bowline" agent --config "$work/config.yaml" >"$work/agent.log" 2>&1 &
    agent=$!
    bowline_applied
}
bowline_applied() {
    until curl -fs "127.0.0.1:$((PORT + 1))/v1/status" | tr -d ' \n' |
        grep -q "\"applied_revision\":\"$(cat "$work/head")\""; do
        kill -0 "$agent"
        sleep 0.05
    done
}
bowline_change() { commit 2; bowline_applied; }
at_once_begin() { bowline_begin; }
at_once_change() { bowline_change; }

compose_begin() { compose up -d; healthy 3; }
compose_change() { commit 2; compose up -d; healthy 3; }

rollout_begin() { compose_begin; }
rollout_change() {
    local old
    commit 2
    old=$(pages)
    compose up -d --no-deps --no-recreate --scale page=6 page
    healthy 6
    # shellcheck disable=SC2086 # several ids
    docker stop $old >/dev/null && docker rm $old >/dev/null
}

run() { # run WAY: appends `WAY sent failed gap_ms rate seconds`
    parallelism=1
    [ "$1" != at_once ] || parallelism=0
    repository
    "$1_begin"
    until curl -fs "127.0.0.1:$PORT" >/dev/null; do sleep 0.05; done
    "$BIN/examples/load" "127.0.0.1:$PORT" --rate "$RATE" --connections 64 --post-every 10 \
        >"$work/figures" 2>"$work/load.log" &
    load=$!
    sleep 2
    local began ended
    began=$(date +%s%N)
    "$1_change"
    ended=$(date +%s%N)
    sleep 2
    kill "$load"
    wait "$load"
    load=''
    tail -n 1 "$work/load.log" >&2
    echo "$1 $(cat "$work/figures") $(awk "BEGIN { printf \"%.1f\", ($ended - $began) / 1e9 }")" | tee -a "$RESULTS" >&2
    clean
}

median() { # median WAY COLUMN
    awk -v way="$1" -v column="$2" '$1 == way { print $column }' "$RESULTS" | sort -g |
        awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}
row() { # row WAY WORDS
    grep -q "^$1 " "$RESULTS" || return 0
    echo "| $2 | $(median "$1" 3) of $(median "$1" 2) | $(median "$1" 4) ms | $(median "$1" 6) s |"
}

clean
image $STACK-demo:1 "$BIN/bowline" /bowline 'ENTRYPOINT ["/bowline"]'
image $STACK-haproxy:1 /usr/sbin/haproxy /usr/sbin/haproxy \
    'CMD ["/usr/sbin/haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]'
for _ in $(seq "$RUNS"); do
    for way in $WAYS; do run "$way"; done
done
echo "| version 1 to 2, 3 replicas, $RATE requests a second | failed requests | longest gap | time |"
echo "| --- | --- | --- | --- |"
row bowline "Bowline, one by one"
row at_once "Bowline, \`parallelism: 0\`"
row compose "\`docker compose up -d\`"
row rollout "scaled to twice as many, then the old ones removed"
