#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two nodes on this machine: "home" has a small web page, "laptop" fetches it by name: through its proxy, and through its DNS server. No root, nothing
# outside a temporary folder. As root also with a TUN each, in two network namespaces (demo-tun.sh).
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

# Five ports that nobody has: three of UDP (the third is free for TCP too), two of TCP.
free_ports() {
    python3 - <<'PYTHON'
import socket
held = []
for kind in (socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_STREAM):
    held.append(socket.socket(socket.AF_INET, kind))
    held[-1].bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PYTHON
}
read -r home_port laptop_port web_port socks_port dns_port < <(free_ports)

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
dns: {enabled: true, listen: "127.0.0.1:$dns_port"}
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

step "7. The same without a proxy: laptop's DNS server gives the name an address, on which laptop listens"
# What a DNS client does, where dig may not be there: one question, the address of the answer.
look_up() {
    python3 - "$1" "$dns_port" <<'PYTHON'
import socket, struct, sys
name, port = sys.argv[1], int(sys.argv[2])
question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.sendto(struct.pack(">HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + question, ("127.0.0.1", port))
answer = s.recv(1500)
if answer[3] & 15 or struct.unpack(">H", answer[6:8])[0] == 0:
    sys.exit(f"no address for {name}")
print(socket.inet_ntoa(answer[-4:] if answer[10:12] == b"\0\0" else answer[12 + len(question) + 12:][:4]))
PYTHON
}
address=$(look_up web.home.demo.p2p) || die "DNS gave no address"
echo "web.home.demo.p2p is $address for the programs of this machine"
page=$(shown curl --silent --show-error --fail --max-time 20 --retry 5 --retry-delay 1 --retry-all-errors --noproxy '*' "http://$address:$web_port/") ||
    die "the page did not come from $address"
echo "$page"
case $page in
*'Hello from home'*) ;;
*) die "that is not the page of home" ;;
esac

step "8. With a TUN: any program, any protocol"
"$(dirname "${BASH_SOURCE[0]}")/demo-tun.sh" "$peergate" "$dir" || die "the TUN's part failed"

next="The same between two machines of your own: README.md, \"Set it up\"."
if $once; then
    step "It works."
    echo "$next"
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
  curl http://$address:$web_port/        (web.home.demo.p2p, as laptop's DNS server on 127.0.0.1:$dns_port says)
  a browser: SOCKS5 proxy 127.0.0.1 port $socks_port, "proxy DNS" on, then http://web.home.demo.p2p/
  $peergate --dir $dir/laptop status
  $peergate --dir $dir/laptop services home
  the files and logs are in $dir
$next
HINTS
# A builtin wait, so that Ctrl-C is seen at once.
wait "$web_pid" || die "the web page's server ended"
