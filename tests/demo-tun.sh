#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The part of the demo that needs root: two network namespaces as two machines, a node with a TUN in each, and programs that know nothing of it.
#   demo-tun.sh PEERGATE FOLDER
set -euo pipefail

peergate=$1 dir=$2/tun
mkdir -p "$dir"

without() {
    echo "left out: $1"
    exit 0
}
[ "$(id -u)" = 0 ] || without "this needs root, for an interface and two network namespaces: sudo ./dev demo"
[ -c /dev/net/tun ] || without "there is no /dev/net/tun here"
command -v ip >/dev/null || without "this needs the program ip (package iproute2)"

home=pgdemo-$$-h laptop=pgdemo-$$-l
pids=()
cleanup() {
    trap '' INT TERM
    for node in home laptop; do
        [ ! -S "$dir/$node/control.sock" ] || "$peergate" --dir "$dir/$node" down 2>/dev/null || true
    done
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    for namespace in "$home" "$laptop"; do
        ip netns del "$namespace" 2>/dev/null || true
    done
    rm -rf "/etc/netns/$laptop"
    rmdir /etc/netns 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
die() {
    printf '\n%s\n' "$1" >&2
    tail -n 20 "$dir"/*/peergate.log >&2 2>/dev/null || true
    exit 1
}
ip netns add "$home" 2>"$dir/ip.log" || without "network namespaces do not work here: $(cat "$dir/ip.log")"
ip netns add "$laptop"
in_home() { ip netns exec "$home" "$@"; }
in_laptop() { ip netns exec "$laptop" "$@"; }
shown() { # runs a command in laptop's namespace after showing it
    printf 'laptop# %s\n' "$*"
    in_laptop "$@"
}

# The network between them, and nothing else.
ip link add "pgd$$" netns "$home" type veth peer name "pgd$$" netns "$laptop"
in_home ip addr add 192.0.2.1/24 dev "pgd$$"
in_laptop ip addr add 192.0.2.2/24 dev "pgd$$"
for run in in_home in_laptop; do
    $run ip link set lo up
    $run ip link set "pgd$$" up
done

id_of() { "$peergate" --dir "$dir/$1" id --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["peer_id"])'; }
for node in home laptop; do
    "$peergate" --dir "$dir/$node" init >/dev/null 2>&1 || die "init failed"
done
cat >"$dir/home/config.yaml" <<YAML
hostname: home
network: demo
port: 7001
peers:
  - name: laptop
    peer_id: $(id_of laptop)
    endpoint: 192.0.2.2:7001
services:
  web: {local_address: "127.0.0.1:80"}
tun: {enabled: true}
YAML
cat >"$dir/laptop/config.yaml" <<YAML
hostname: laptop
network: demo
port: 7001
peers:
  - name: home
    peer_id: $(id_of home)
    endpoint: 192.0.2.1:7001
tun: {enabled: true}
dns: {enabled: true, listen: "127.0.0.1:53"}
YAML
chmod 600 "$dir"/*/config.yaml
# What dns.system does on a machine of one's own; a namespace has its resolv.conf here.
mkdir -p "/etc/netns/$laptop"
echo 'nameserver 127.0.0.1' >"/etc/netns/$laptop/resolv.conf"

ip netns exec "$home" python3 -m http.server --bind 0.0.0.0 --directory "$dir/../www" 80 >"$dir/www.log" 2>&1 &
pids+=($!)
for _ in {1..50}; do
    in_home python3 -c 'import socket; socket.create_connection(("127.0.0.1", 80), 1)' 2>/dev/null && break
    sleep 0.1
done
in_home "$peergate" --dir "$dir/home" up -b >/dev/null || die "home does not start"
in_laptop "$peergate" --dir "$dir/laptop" up -b >/dev/null || die "laptop does not start"

echo "(two network namespaces stand for two machines; each has an interface peer0)"
shown ip -brief addr show peer0 || die "there is no interface"
if command -v ping >/dev/null; then
    shown ping -c 3 -i 0.3 -W 3 home.demo.p2p || die "home does not answer"
fi
page=$(shown curl --silent --show-error --fail --max-time 20 --retry 5 --retry-delay 1 --retry-all-errors --noproxy '*' http://web.home.demo.p2p/) ||
    die "the page did not come through the TUN"
echo "$page"
case $page in
*'Hello from home'*) ;;
*) die "that is not the page of home" ;;
esac
