#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The commands on keys and configuration, as a person runs them: what they print, what they leave, how they exit.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PEERGATE_DIR=$dir/node HOME=$dir
peer=12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq
failures=0

expect() { # status, what is in the output, command...
    local wanted=$1 text=$2 status=0 out
    shift 2
    out=$("$PEERGATE_BIN" "$@" 2>&1 </dev/null) || status=$?
    if [ "$status" != "$wanted" ] || [[ $out != *"$text"* ]]; then
        echo "FAILED: peergate $*: exit $status (expected $wanted), printed:"
        echo "$out"
        echo "  expected in it: $text"
        failures=$((failures + 1))
    fi
}

same() { # what, a, b
    [ "$2" = "$3" ] || { echo "FAILED: $1: \"$2\" and \"$3\" differ"; failures=$((failures + 1)); }
}

# --- words and options
expect 0 "usage: peergate" help
expect 0 "usage: peergate" --help
expect 0 "usage: peergate authorize" help authorize
expect 0 "usage: peergate authorize" authorize --help
expect 0 "usage: peergate authorize" authorize -h x y z
expect 0 "peergate " --version
expect 2 "See \`peergate help\`" --
expect 2 'there is no command "authorise"; did you mean "authorize"?' authorise x
expect 2 'there is no command "xyzzy"' xyzzy
expect 2 'there is no command "xyzzy"' help xyzzy
expect 2 "--dir needs a folder" id --dir
expect 2 "there is no option --jsn" id --jsn
expect 2 "something is missing; usage: peergate authorize PEER-ID" authorize
expect 2 '"y" is one argument too many' authorize x y
expect 2 "--services needs a value" authorize x --services

expect 2 "there is no option --bogus" --bogus
expect 2 "there is no option -x" -x status
for words in "authorize hello" "authorize" "deauthorize $peer" "id" "dns nothing" "id --jsn" "xyzzy" "help xyzzy" "--bogus" "--dir="; do
    # shellcheck disable=SC2086
    "$PEERGATE_BIN" --json $words >"$dir/out" 2>"$dir/err" </dev/null && failures=$((failures + 1))
    python3 -c 'import json, sys; told = json.load(open(sys.argv[1])); assert told["ok"] is False and told["error"] in open(sys.argv[2]).read()' \
        "$dir/out" "$dir/err" || { echo "FAILED: --json $words: $(cat "$dir/out" "$dir/err")"; failures=$((failures + 1)); }
done

# --- init and id
expect 1 "there is no identity yet; \`peergate init\` makes one" id
expect 2 "hostname: expected a name" init --hostname 'a b'
expect 0 "A new identity was made" init --hostname home --network demo
same "mode of the folder" "$(stat -c %a "$dir/node")" 700
for file in identity.key config.yaml authorized_keys; do
    same "mode of $file" "$(stat -c %a "$dir/node/$file")" 600
done
expect 0 "here by \`peergate --dir $dir/further up\`" --dir "$dir/further" init
expect 0 "here by \`peergate up\`" init
cp -r "$dir/node" "$dir/before"
expect 0 "The identity that was there stays" init --hostname other
diff -r "$dir/before" "$dir/node" || failures=$((failures + 1))
expect 0 "12D3KooW" id
same "the ID is the same with --dir" "$("$PEERGATE_BIN" id --json)" "$("$PEERGATE_BIN" --dir "$dir/node" --json id)"
[[ $("$PEERGATE_BIN" id --json) == '{"peer_id": "12D3KooW'*'", "public_key": "'*'="}' ]] || failures=$((failures + 1))
secret=$(cat "$dir/node/identity.key")
! "$PEERGATE_BIN" id -v --json | grep -qF "$secret" || failures=$((failures + 1))
chmod 644 "$dir/node/identity.key"
expect 1 "chmod 600 $dir/node/identity.key" id
chmod 600 "$dir/node/identity.key"

# --- genkey and pubkey do what wg does, to the byte
key=$("$PEERGATE_BIN" genkey)
same "length of a key" ${#key} 44
same "pubkey --json" "$(printf '%s' "$key" | "$PEERGATE_BIN" pubkey --json)" "{\"public_key\": \"$(printf '%s' "$key" | "$PEERGATE_BIN" pubkey)\"}"
[[ $("$PEERGATE_BIN" genkey --json) =~ ^'{"private_key": "'[A-Za-z0-9+/]{43}'="}'$ ]] || failures=$((failures + 1))
expect 1 '"error": "Key is not the correct length or format"' --json pubkey
if command -v wg >/dev/null; then
    for input in "$key" "$(wg genkey)" "$key  " "" x "$key x" "${key}x" " $key" "${key%=}" "${key%?=}B=" "$(printf '%s\n\n\t' "$key")" \
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= //////////////////////////////////////////8=; do
        ours=0 theirs=0
        a=$(printf '%s' "$input" | "$PEERGATE_BIN" pubkey 2>"$dir/ours") || ours=$?
        b=$(printf '%s' "$input" | wg pubkey 2>"$dir/theirs") || theirs=$?
        same "pubkey of \"$input\"" "$a $ours" "$b $theirs"
        same "error for \"$input\"" "$(sed 's/^peergate pubkey: //' "$dir/ours")" "$(sed 's/^wg: //' "$dir/theirs")"
    done
    (umask 022 && "$PEERGATE_BIN" genkey >"$dir/key" 2>"$dir/ours" && wg genkey >"$dir/key" 2>"$dir/theirs")
    same "warning of an open file" "$(cat "$dir/ours")" "$(cat "$dir/theirs")"
else
    echo "no wg here: genkey and pubkey were not compared with it"
fi

# --- authorize and deauthorize
expect 0 "authorized $peer" authorize "$peer" --services ssh,web --comment "a friend"
expect 0 "changed $peer" authorize --expires=2027-01-01 "$peer"
same "the line" "$(tail -n 1 "$dir/node/authorized_keys")" "expires=\"2027-01-01\" $peer a friend"
expect 0 'is in the past: it may not connect' authorize --expires=2020-01-01 "$peer"
[[ $("$PEERGATE_BIN" authorize --expires=2999-01-01 "$peer" 2>&1) != *past* ]] || failures=$((failures + 1))
expect 1 'expires: expected a date such as 2027-01-01' authorize "$peer" --expires soon
expect 1 "expected a peer ID (12D3KooW...) or a base64 key" authorize hello
expect 0 '{"deauthorized": "12D3KooW' deauthorize --json "$peer"
expect 1 "is not in" deauthorize "$peer"
mkdir -m 700 "$dir/knows"
"$PEERGATE_BIN" --dir "$dir/knows" init --hostname knows --network demo >/dev/null
printf 'peers:\n  - {name: friend, peer_id: %s}\n' "$peer" >>"$dir/knows/config.yaml"
expect 0 "authorized $peer" --dir "$dir/knows" authorize "$peer" --services ssh --comment "a friend"
expect 0 "revoked $peer" --dir "$dir/knows" deauthorize "$peer"
same "a configured peer's line" "$(tail -n 1 "$dir/knows/authorized_keys")" "revoked=\"yes\" $peer a friend"
expect 0 '"revoked": true' --dir "$dir/knows" --json deauthorize "$peer"
expect 0 "changed $peer" --dir "$dir/knows" authorize "$peer"
same "its line" "$(tail -n 1 "$dir/knows/authorized_keys")" "$peer a friend"
diff -r "$dir/before" "$dir/node" --exclude '.*.lock' || failures=$((failures + 1))

# --- config
expect 0 'hostname: "home"' config check
expect 0 '"hostname": "home"' config check --json
expect 0 '# Configuration' config reference
expect 2 'expected check or reference, found "chekc"' config chekc
expect 1 "there is no such file" config check "$dir/nothing"
printf 'prot: 5\nprivate_key: %s\n' "$key" >"$dir/bad.yaml"
expect 1 "bad.yaml:1: prot: unknown key; did you mean port?" config check "$dir/bad.yaml"
expect 1 '"line": 1' config check --json "$dir/bad.yaml"
expect 1 '"text": "'"$dir/bad.yaml:1: prot: unknown key; did you mean port?" config check --json "$dir/bad.yaml"
expect 1 '"ok": false' config check --json "$dir/nothing"
printf 'services: {web: {local_address: "127.0.0.1:80", authorized_keys: %s}}\n' "$dir/friends" >"$dir/served.yaml"
expect 0 "warning: $dir/served.yaml:1: services.web.authorized_keys: there is no file $dir/friends, so nobody may use it" config check "$dir/served.yaml"
: >"$dir/friends"
chmod 600 "$dir/friends"
[[ $("$PEERGATE_BIN" config check "$dir/served.yaml" 2>&1) != *"there is no file"* ]] || failures=$((failures + 1))
printf 'private_key: %s\n' "$key" >"$dir/open.yaml"
chmod 644 "$dir/open.yaml"
expect 1 "chmod 600 $dir/open.yaml" config check "$dir/open.yaml"
chmod 600 "$dir/open.yaml"
expect 0 'private_key: "(set)"' config check "$dir/open.yaml"
out=$("$PEERGATE_BIN" config check "$dir/open.yaml")
[[ $out != *"$key"* ]] || failures=$((failures + 1))
"$PEERGATE_BIN" config check >"$dir/effective.yaml"
same "the effective configuration holds itself" "$("$PEERGATE_BIN" config check "$dir/effective.yaml")" "$(cat "$dir/effective.yaml")"

# --- a node that has a private_key and nothing else
mkdir -m 700 "$dir/legacy"
cp "$dir/open.yaml" "$dir/legacy/config.yaml"
expect 0 "$(printf '%s' "$key" | "$PEERGATE_BIN" pubkey)" --dir "$dir/legacy" id
expect 0 '"peer_id": null' --dir "$dir/legacy" id --json

# --- a full disk under standard output
status=0
"$PEERGATE_BIN" config reference >/dev/full 2>"$dir/full" || status=$?
same "standard output is full" "$status $(cat "$dir/full")" "1 peergate config: cannot write to standard output: No space left on device"

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
