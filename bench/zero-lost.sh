#!/usr/bin/env bash
# What happens to requests while a stack is changed: the same changes of manifests/web (or web-nginx)
# under the same load, made in four ways: by Bowline's agent as the manifest says (one by one) and all at
# once, by `docker compose up -d`, and as docker-rollout does it (as many containers again, wait for
# health, stop and remove the old ones, or the new ones if they do not get healthy).
#
#   update   version 1 to 2 of three replicas
#   scale    3 to 6 to 2 replicas
#   bad      a version that never gets healthy, and back: by itself with Bowline and docker-rollout, by
#            another `up -d` of the former file, as soon as the first one has ended, with Compose
#
# Prints the table of docs/benchmarks.md: medians of requests that failed, longest time without an
# answer, and time from the change until all is healthy and what was replaced is gone; with Bowline until
# what is new was also watched for as long as the manifest says (6 s).
#
#   bench/zero-lost.sh [RUNS]
#
# Needs Docker, Debian's haproxy (or nginx), git and curl. BIN: where `bowline` is (default:
# target/release, built there). COMPOSE: the program (default: Debian sid's, fetched). EXAMPLE: web or
# web-nginx. RESULTS: a file that keeps the figures of each run, so that runs add up. Everything made
# here is named `bench-zero...` and taken away.
set -euo pipefail
cd "$(dirname "$0")/.."
RUNS=${1:-3} RATE=${RATE:-2300} PORT=${PORT:-8199} STACK=bench-zero EXAMPLE=${EXAMPLE:-web}
WAYS=${WAYS:-bowline at_once compose rollout} STAGES=${STAGES:-update scale bad}
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
    docker rmi -f $STACK-demo:1 $STACK-balancer:1 >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

image() { # image NAME PROGRAM INSIDE CHANGE: the program and its libraries
    local root=$work/image library
    rm -rf "$root"
    install -D "$2" "$root$3"
    for library in $(ldd "$2" | grep -o '/[^ ]*'); do install -D "$library" "$root$library"; done
    install -d -m 1777 "$root/tmp"
    tar -C "$root" -c . | docker import --change "$4" - "$1" >/dev/null
}

parallelism=1
case $EXAMPLE in
web)
    balancer=/usr/sbin/haproxy
    run='["/usr/sbin/haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]'
    # It listens, but says of itself that it is sick.
    bad='s|VERSION: "3"|VERSION: "3"\n      UNHEALTHY_FILE: /bowline|'
    ;;
web-nginx)
    balancer=/usr/sbin/nginx
    run='["/usr/sbin/nginx", "-e", "stderr", "-c", "/etc/nginx/nginx.conf"]'
    # It does not listen where it is asked: nginx would take a sick one's 503 for a POST's answer.
    bad='s|\["serve"\]|["serve", "--listen", "0.0.0.0:9090"]|'
    ;;
*) echo "EXAMPLE is web or web-nginx" >&2 && exit 1 ;;
esac
commit() { # commit VERSION REPLICAS: the compose file, committed; version 3 never gets healthy
    local edit=''
    [ "$1" != 3 ] || edit=$bad
    sed -e "s/parallelism: 1/parallelism: $parallelism/; s/replicas: 3/replicas: $2/" \
        -e "s/^name: .*/name: $STACK/; s/bowline-demo:1/$STACK-demo:1/; s/bowline-\(haproxy\|nginx\):1/$STACK-balancer:1/" \
        -e "s/VERSION: \"1\"/VERSION: \"$1\"/; s/\${WEB_PORT:-[0-9]*}/$PORT/" -e "$edit" \
        "manifests/$EXAMPLE/compose.yaml" >"$work/repository/web/compose.yaml"
    git -C "$work/repository" add .
    git -C "$work/repository" -c user.name=bench -c user.email=bench@localhost commit -q -m "version $1, $2 replicas"
    git -C "$work/repository" rev-parse HEAD >"$work/head"
}

pages() { docker ps -q --filter "label=com.docker.compose.project=$STACK" --filter label=com.docker.compose.service=page "$@"; }
healthy() { # healthy COUNT: waits for as many, and for no others
    until [ "$(pages --filter health=healthy | wc -l)" = "$1" ] && [ "$(pages | wc -l)" = "$1" ]; do sleep 0.05; done
}
compose() { "$COMPOSE" -f "$work/repository/web/compose.yaml" "$@" >>"$work/compose.log" 2>&1; }

bowline_begin() {
    rm -rf "$work/state"
    printf 'sources: [{ name: bench-zero, url: %s, interval: 1h }]\nhttp: { listen: "127.0.0.1:%s" }\nstate_dir: state\nsocket: bowline.sock\n' \
        "$work/repository" "$((PORT + 1))" >"$work/config.yaml"
    "$BIN/bowline" agent --config "$work/config.yaml" >"$work/agent.log" 2>&1 &
    agent=$!
    bowline_says applied_revision
}
bowline_says() { # bowline_says KEY: waits until the agent names the newest commit under this key
    until curl -fs "127.0.0.1:$((PORT + 1))/v1/status" | tr -d ' \n' |
        grep -q "\"$1\":\"$(cat "$work/head")\""; do
        kill -0 "$agent"
        sleep 0.05
    done
}
bowline_update() { commit 2 3 && bowline_says applied_revision; }
bowline_scale() {
    commit 2 6 && bowline_says applied_revision
    commit 2 2 && bowline_says applied_revision
}
bowline_bad() {
    commit 3 2
    until curl -fs "127.0.0.1:$((PORT + 1))/v1/status" | tr -d ' \n' | grep -q "\"held_back\":{\"revision\":\"$(cat "$work/head")\"" &&
        [ "$(pages -a | wc -l)" = 2 ]; do
        kill -0 "$agent"
        sleep 0.05
    done
}
at_once_begin() { bowline_begin; }
at_once_update() { bowline_update; }
at_once_scale() { bowline_scale; }
at_once_bad() { bowline_bad; }

compose_begin() { compose up -d && healthy 3; }
compose_update() { commit 2 3 && compose up -d && healthy 3; }
compose_scale() {
    commit 2 6 && compose up -d && healthy 6
    commit 2 2 && compose up -d && healthy 2
}
compose_bad() {
    commit 3 2 && { compose up -d --wait || true; }
    commit 2 2 && compose up -d && healthy 2
}

rollout_begin() { compose_begin; }
rollout_update() {
    local old
    commit 2 3
    old=$(pages)
    compose up -d --no-deps --no-recreate --scale page=6 page
    healthy 6
    # shellcheck disable=SC2086 # several ids
    docker stop $old >/dev/null && docker rm $old >/dev/null
}
rollout_scale() { compose_scale; }
rollout_bad() {
    local old new
    commit 3 2
    old=$(pages)
    compose up -d --no-deps --no-recreate --scale page=4 page
    until [ "$(pages --filter health=unhealthy | wc -l)" = 2 ]; do sleep 0.05; done
    new=$(pages | grep -vF "$old")
    # shellcheck disable=SC2086 # several ids
    docker stop $new >/dev/null && docker rm $new >/dev/null
}

stage() { # stage WAY STAGE: appends `WAY STAGE sent failed gap_ms rate seconds`
    "$BIN/examples/load" "127.0.0.1:$PORT" --rate "$RATE" --connections 64 --post-every 10 \
        >"$work/figures" 2>"$work/load.log" &
    load=$!
    sleep 2
    local began ended
    began=$(date +%s%N)
    "$1_$2"
    ended=$(date +%s%N)
    sleep 2
    kill "$load"
    wait "$load"
    load=''
    tail -n 1 "$work/load.log" >&2
    echo "$1 $2 $(cat "$work/figures") $(awk "BEGIN { printf \"%.1f\", ($ended - $began) / 1e9 }")" | tee -a "$RESULTS" >&2
}

run() { # run WAY: all stages, one after the other
    parallelism=1
    [ "$1" != at_once ] || parallelism=0
    rm -rf "$work/repository"
    mkdir -p "$work/repository/web"
    cp "manifests/$EXAMPLE"/*.c* "$work/repository/web"
    git -C "$work/repository" init -q -b main
    commit 1 3
    "$1_begin"
    until curl -fs "127.0.0.1:$PORT" >/dev/null; do sleep 0.05; done
    for name in $STAGES; do stage "$1" "$name"; done
    clean
}

median() { # median WAY STAGE COLUMN
    awk -v way="$1" -v stage="$2" -v column="$3" '$1 == way && $2 == stage { print $column }' "$RESULTS" | sort -g |
        awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}
row() { # row WAY WORDS
    local name
    grep -q "^$1 " "$RESULTS" || return 0
    printf '| %s |' "$2"
    for name in $STAGES; do
        printf ' %s of %s, %s ms, %s s |' "$(median "$1" "$name" 4)" "$(median "$1" "$name" 3)" \
            "$(median "$1" "$name" 5)" "$(median "$1" "$name" 7)"
    done
    echo
}

clean
image $STACK-demo:1 "$BIN/bowline" /bowline 'ENTRYPOINT ["/bowline"]'
image $STACK-balancer:1 $balancer $balancer "CMD $run"
for _ in $(seq "$RUNS"); do
    for way in $WAYS; do run "$way"; done
done
echo "failed requests of all at $RATE a second, the longest gap, the time:"
echo "| |$(for name in $STAGES; do printf ' %s |' "$name"; done)"
echo "| --- |$(for _ in $STAGES; do printf ' --- |'; done)"
row bowline "Bowline, one by one"
row at_once "Bowline, \`parallelism: 0\`"
row compose "\`docker compose up -d\`"
row rollout "as many again, then the old ones removed"
