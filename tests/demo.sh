#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two nodes on this machine: "home" has a small web page, "laptop" fetches it by name. No root, nothing outside a temporary folder.
#   demo.sh          shows it, then stays up for you to try; Ctrl-C ends it and cleans up
#   demo.sh --once   shows it and ends
set -euo pipefail

peergate=${PEERGATE_BIN:?PEERGATE_BIN is the program; run this as ./dev demo}
once=false
case ${1:-} in
'') ;;
--once) once=true ;;
*)
    echo "usage: ./dev demo [--once]" >&2
    exit 2
    ;;
esac

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' dim='' plain=''
fi

step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
shown() { # runs a command after showing it
    printf '%s$ %s%s\n' "$dim" "$(printf '%s ' "$@" | sed "s|$peergate|peergate|g; s|$dir|\$DEMO|g; s| $||")" "$plain"
    "$@"
}
die() {
    printf '\ndemo: %s\n' "$1" >&2
    for log in "$dir"/*/peergate.log; do
        [ ! -s "$log" ] || { echo "--- $log"; tail -n 20 "$log"; } >&2
    done
    exit 1
}

dir=$(mktemp -d "${TMPDIR:-/tmp}/peergate-demo.XXXXXX")
web_pid=''
cleanup() {
    trap '' INT TERM
    for node in home laptop; do
        [ ! -S "$dir/$node/control.sock" ] || "$peergate" --dir "$dir/$node" down 2>/dev/null || true
    done
    if [ -n "$web_pid" ]; then
        kill "$web_pid" 2>/dev/null || true
        wait "$web_pid" 2>/dev/null || true
    fi
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Four ports that nobody has: two of UDP, two of TCP.
free_ports() {
    python3 - <<'PYTHON'
import socket
held = []
for kind in (socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_STREAM):
    held.append(socket.socket(socket.AF_INET, kind))
    held[-1].bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PYTHON
}
read -r home_port laptop_port web_port socks_port < <(free_ports)

step "1. A web page, behind home: 127.0.0.1:$web_port"
mkdir "$dir/www"
cat >"$dir/www/index.html" <<'HTML'
<!doctype html><title>home</title>
<h1>Hello from home</h1>
<p>This page came through an encrypted session between two nodes, found by name.</p>
HTML
python3 -m http.server --bind 127.0.0.1 --directory "$dir/www" "$web_port" >"$dir/www.log" 2>&1 &
web_pid=$!

step "2. Two nodes, each with a key of its own"
for node in home laptop; do
    "$peergate" --dir "$dir/$node" init >"$dir/init.log" 2>&1 || { cat "$dir/init.log" >&2; die "init failed"; }
    printf '%-7s %s\n' "$node" "$("$peergate" --dir "$dir/$node" id --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["peer_id"])')"
done
id_of() { "$peergate" --dir "$dir/$1" id --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["peer_id"])'; }

cat >"$dir/home/config.yaml" <<YAML
hostname: home
network: demo
port: $home_port
peers:
  - name: laptop
    peer_id: $(id_of laptop)
    endpoint: 127.0.0.1:$laptop_port
services:
  web: {enabled: true, local_address: "127.0.0.1:$web_port"}
YAML
cat >"$dir/laptop/config.yaml" <<YAML
hostname: laptop
network: demo
port: $laptop_port
peers:
  - name: home
    peer_id: $(id_of home)
    endpoint: 127.0.0.1:$home_port
socks: {listen: "127.0.0.1:$socks_port"}
YAML
chmod 600 "$dir"/*/config.yaml
step "3. What each is told"
for node in home laptop; do
    echo "--- $node/config.yaml"
    cat "$dir/$node/config.yaml"
done

step "4. Both start"
for node in home laptop; do
    shown "$peergate" --dir "$dir/$node" up -b || die "$node does not start"
done

step "5. laptop fetches the page by name, through its own proxy"
page=$(shown curl --silent --show-error --fail --max-time 20 --retry 5 --retry-delay 1 --retry-all-errors \
    --socks5-hostname "127.0.0.1:$socks_port" http://web.home.demo.p2p/) || die "the page did not come"
echo "$page"
case $page in
*'Hello from home'*) ;;
*) die "that is not the page of home" ;;
esac

step "6. What laptop knows"
shown "$peergate" --dir "$dir/laptop" status || die "status failed"
echo
shown "$peergate" --dir "$dir/laptop" ping -c 3 -i 0.3 home || die "ping failed"

if $once; then
    step "It works."
    exit 0
fi

ssh_hint="  (no sshd here: with one, add \"ssh: {enabled: true, local_address: localhost:22}\" to the services of home)"
if python3 -c 'import socket; socket.create_connection(("localhost", 22), 1)' 2>/dev/null; then
    printf '  ssh: {enabled: true, local_address: "localhost:22"}\n' >>"$dir/home/config.yaml"
    "$peergate" --dir "$dir/home" reload
    ssh_hint="  ssh -o ProxyCommand=\"$peergate --dir $dir/laptop nc %h %p\" $(id -un)@home.demo"
fi
step "Your turn. Both nodes stay up until Ctrl-C:"
cat <<HINTS
  curl --socks5-hostname 127.0.0.1:$socks_port http://web.home.demo.p2p/
$ssh_hint
  a browser: SOCKS5 proxy 127.0.0.1 port $socks_port, "proxy DNS" on, then http://web.home.demo.p2p/
  $peergate --dir $dir/laptop status
  $peergate --dir $dir/laptop services home
  the files and logs are in $dir
HINTS
# A builtin wait, so that Ctrl-C is seen at once.
wait "$web_pid" || die "the web page's server ended"
