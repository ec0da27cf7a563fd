#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Real clients against the netstack: curl, iperf3, nc and echo requests of a kernel, through a TUN device.
#
#   namespace C: curl, iperf3, nc -- TUN pgt0 (10.64.0.1, fd00::1) == netstack_node (10.64.0.2, fd00::2)
#   namespace S: netstack_node and the services on 127.0.0.1; no address but the loopback's
#
# usage: kernel.sh [bench]      bench: only speeds, as JSON lines
set -euo pipefail

node=${PEERGATE_BUILD:?}/netstack_node
c=pgnsc$$ s=pgnss$$ # their own names: others may be at work on this machine
work=$(mktemp -d)
pids=()

cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    ip netns del "$c" 2>/dev/null || true
    ip netns del "$s" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

die() {
    echo "FAILED: $*" >&2
    for log in "$work"/*.log; do echo "--- $log" >&2; tail -5 "$log" >&2; done
    exit 1
}
skip() {
    echo "SKIPPED: $*" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 77
}
for tool in curl iperf3 nc python3; do command -v "$tool" >/dev/null || skip "no $tool"; done
[ -c /dev/net/tun ] || skip "no /dev/net/tun"

inc() { ip netns exec "$c" "$@"; }
ins() { ip netns exec "$s" "$@"; }
start() { # log, command...: in the background, in S
    local log=$work/$1.log
    shift
    ip netns exec "$s" "$@" >"$log" 2>&1 &
    pids+=($!)
}

ip netns add "$c"
ip netns add "$s"
inc ip link set lo up
ins ip link set lo up

node_pid=
start_node() { # plain | offload | slow
    : >"$work/node.log"
    ip netns exec "$s" "$node" "$c" pgt0 "$1" 8080 5201 7 9 >"$work/node.log" 2>&1 &
    node_pid=$!
    pids+=("$node_pid")
    for _ in $(seq 1200); do
        grep -q ready "$work/node.log" && break
        sleep 0.05
    done
    grep -q ready "$work/node.log" || die "the node does not start"
    inc ip addr add 10.64.0.1/16 dev pgt0
    inc ip -6 addr add fd00::1/64 dev pgt0 nodad
    inc ip link set pgt0 mtu 1420 up
    inc ip link set pgt0 txqueuelen 1000
}
stop_node() { # leaves its statistics in $work/node.log
    kill -TERM "$node_pid"
    wait "$node_pid" || die "the node ended badly"
}

head -c 20000000 /dev/urandom >"$work/data"
(cd "$work" && exec ip netns exec "$s" python3 -m http.server 8080 --bind 127.0.0.1 >http.log 2>&1) &
pids+=($!)
start iperf iperf3 -s -B 127.0.0.1 -p 5201
start echo python3 -c '
import socket, threading
def tcp():
    l = socket.create_server(("127.0.0.1", 7))
    while True:
        k, _ = l.accept()
        threading.Thread(target=one, args=(k,)).start()
def one(k):
    while d := k.recv(65536): k.sendall(d)
    k.shutdown(socket.SHUT_WR)
threading.Thread(target=tcp, daemon=True).start()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 7))
while True:
    d, a = u.recvfrom(65536); u.sendto(d, a)
'
sleep 0.5

rate() { # iperf3 arguments: Mbit/s that were received
    inc timeout 100 iperf3 -J -p 5201 "$@" >"$work/iperf.json" 2>&1 || die "iperf3 $*: $(head -c 300 "$work/iperf.json")"
    python3 -c 'import json, sys; print(round(json.load(open(sys.argv[1]))["end"]["sum_received"]["bits_per_second"] / 1e6))' "$work/iperf.json"
}

clients() {
    local sum other
    sum=$(sha256sum <"$work/data")
    for url in http://10.64.0.2:8080 'http://[fd00::2]:8080'; do
        other=$(inc curl -gsS --max-time 120 "$url/data" | sha256sum)
        [ "$sum" = "$other" ] || die "curl got other bytes from $url"
    done
    other=$(inc nc -N -w 120 10.64.0.2 7 <"$work/data" | sha256sum)
    [ "$sum" = "$other" ] || die "nc got other bytes back"
    inc python3 - <<'PY' || die "echo"
import os, socket, struct
def checksum(d):
    d += b"\0" * (len(d) % 2); n = sum(struct.unpack("!%dH" % (len(d) // 2), d))
    while n >> 16: n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
for size in (0, 56, 1300, 5000):  # the last in fragments, both ways
    r = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); r.settimeout(30)
    body = os.urandom(size)
    head = struct.pack("!BBHHH", 8, 0, 0, 77, size)
    head = struct.pack("!BBHHH", 8, 0, checksum(head + body), 77, size)
    r.sendto(head + body, ("10.64.0.2", 0))
    got = r.recv(65536)[20:]
    assert got[0] == 0 and got[8:] == body, size
r = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6); r.settimeout(30)
r.connect(("fd00::2", 0))
r.send(struct.pack("!BBHHH", 128, 0, 0, 77, 1) + b"hello")
assert r.recv(999)[8:] == b"hello"
PY
    inc python3 - <<'PY' || die "UDP"
import socket
for to in (("10.64.0.2", 7), ("10.64.0.53", 53)):
    for size in (0, 1, 1392, 1393, 9000, 60000):
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(30)
        u.sendto(b"x" * size, to)
        assert u.recv(65536) == b"x" * size, size
PY
    inc python3 - <<'PY' || die "what is not listed"
import errno, socket, struct
t = socket.socket(); t.settimeout(30)
assert t.connect_ex(("10.64.0.2", 8081)) == errno.ECONNREFUSED
t = socket.socket(); t.settimeout(30)
assert t.connect_ex(("10.64.0.2", 9)) == errno.ECONNREFUSED  # listed, but nobody is there
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(30); u.connect(("10.64.0.2", 1000)); u.send(b"x")
try: u.recv(1); raise SystemExit(1)
except ConnectionRefusedError: pass
# A reset goes through to the service and frees everything.
for _ in range(50):
    t = socket.create_connection(("10.64.0.2", 7)); t.sendall(b"x" * 1000)
    t.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); t.close()
# A thousand at once.
many = [socket.create_connection(("10.64.0.2", 7)) for _ in range(1000)]
for i, t in enumerate(many): t.sendall(b"%d" % i)
for i, t in enumerate(many): assert t.recv(99) == b"%d" % i
PY
}

if [ "${1:-}" = bench ]; then
    for kind in plain offload; do
        start_node $kind
        for streams in 1 4; do
            up=$(rate -c 10.64.0.2 -t 4 -P $streams)
            down=$(rate -c 10.64.0.2 -t 4 -P $streams -R)
            echo "{\"bench\": \"netstack_tun\", \"tun\": \"$kind\", \"streams\": $streams, \"to_node_mbit_s\": $up, \"from_node_mbit_s\": $down}"
        done
        stop_node
        tail -1 "$work/node.log"
    done
    exit 0
fi

for kind in plain offload; do
    start_node $kind
    clients
    for arguments in "" "-R" "-P 4" "-u -b 200M -l 1300"; do
        # shellcheck disable=SC2086
        echo "$kind iperf3 $arguments: $(rate -c 10.64.0.2 -t 1 $arguments) Mbit/s"
    done
    stop_node
    python3 - "$work/node.log" <<'PY' || die "statistics: $(tail -1 "$work/node.log")"
import json, sys
s = json.loads(open(sys.argv[1]).read().splitlines()[-1])
print(s)
assert s["malformed"] == 0 and s["connections"] == 0, s
PY
done
# One connection, 100 Mbit/s and 100 ms there and back.
start_node slow
for direction in "" "-R"; do
    # shellcheck disable=SC2086
    mbit=$(rate -c 10.64.0.2 -t 5 -O 3 $direction)
    echo "at 100 ms and 100 Mbit/s, iperf3 $direction: $mbit Mbit/s"
    # What it should reach is ./dev bench's question (packets); a connection that lost its rhythm came to 0.2.
    [ "$mbit" -ge 5 ] || die "one connection reaches $mbit Mbit/s of 100 at 100 ms"
done
stop_node
echo "all clients content"
