# SPDX-License-Identifier: MIT
# What `./dev deps` does: Debian packages by apt, and two libraries that are built from Debian's newer *source*
# packages because the stable releases are too old (libsodium: AEGIS) or ship a build we can't use (lwIP: 64 KB
# windows). Sourced by ./dev, which defines $root, $build, say, note, die, warn and run_logged. Nothing here runs
# on its own.

deps_dir=$build/deps

# What is in place already is worth a line only to whoever asked.
deps_tell=

is_there() {
    [ -z "$deps_tell" ] || note "$*"
}

# What it takes to build the program. The same names on Debian 12 and 13.
build_packages=(
    build-essential cmake ninja-build pkg-config dpkg-dev debian-archive-keyring python3
    libevent-dev libssl-dev libb2-dev libyaml-dev libjansson-dev libmnl-dev libhiredis-dev libldns-dev libsystemd-dev
    libminiupnpc-dev
    nanopb libnanopb-dev protobuf-compiler
)

# What the tests, the fuzzers, the lint, the demo and the benchmarks want on top.
test_packages=(
    clang clang-format libclang-rt-dev libcmocka-dev gcovr
    curl git openssl openssh-server openssh-client netcat-openbsd proxychains4 procps e2fsprogs
    iproute2 iputils-ping nftables wireguard-go wireguard-tools iperf3 nginx-light
    bind9-dnsutils ldnsutils unbound dnsperf systemd dbus-daemon dbus-system-bus-common
    tinyproxy-bin coturn miniupnpd miniupnpd-nftables samba smbclient nebula redis-server
)

# What manages DNS on real machines, for the tests of dns.system. Installed, these would take this machine's resolv.conf and network over, and some exclude each other; so
# they are only unpacked, one folder a machine, and the tests lay them over a machine of their own. "folder: packages"; a|b is the first of them that there is.
machines=(
    "resolved: systemd-resolved libnss-resolve"
    "debian: resolvconf"
    "openresolv: openresolv"
    "networkmanager: network-manager libglib2.0-0|libglib2.0-0t64 libnm0 libndp0 libteamdctl0 libmm-glib0 libbluetooth3 libnewt0.52 libpsl5|libpsl5t64 libcurl3-gnutls|libcurl3t64-gnutls dnsmasq-base libnetfilter-conntrack3 libnfnetlink0"
)

sodium_min=1.0.22
lwip_min=2.2.0

# Suites that are asked for a source package, in this order, until one has it new enough and lets us download it.
sodium_suites=(forky unstable)
wireguard_go_suites=(unstable bookworm-backports)
lwip_suites=(trixie forky unstable)

# --- Debian packages ------------------------------------------------------------------------------------------

# Prints the packages of the argument list that are not installed. dpkg is always asked: a stamp alone proves
# nothing after somebody's `apt-get remove`.
packages_missing() {
    local have
    have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
    printf '%s\n' "$@" | grep -vxF -f <(printf '%s\n' "$have") || true
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

is_debian() {
    [ -r /etc/debian_version ] && command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

explain_foreign_system() {
    warn "./dev deps installs packages on Debian 12 and 13 only; this is $(. /etc/os-release 2>/dev/null; echo "${PRETTY_NAME:-another system}")."
    note "Install what corresponds to these Debian packages by hand:"
    note "  to build: ${build_packages[*]}"
    note "  to test:  ${test_packages[*]}"
    note "and these two, which CMake looks for here:"
    note "  libsodium >= $sodium_min   static, in $deps_dir/libsodium (configure --prefix), or by pkg-config"
    note "  lwIP >= $lwip_min          its source, in $deps_dir/lwip-src"
    exit 1
}

# Keeps a freshly installed sshd or nginx from being started by its package, then puts things back.
services_hold() {
    policy_rc_made=
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
        as_root chmod 755 /usr/sbin/policy-rc.d
        policy_rc_made=1
    fi
}

services_release() {
    if [ -n "${policy_rc_made:-}" ]; then
        as_root rm -f /usr/sbin/policy-rc.d
        policy_rc_made=
    fi
}

# A service whose package we have just brought in stays off at the next boot too.
services_disable() {
    [ -d /run/systemd/system ] || return 0
    local package
    for package in "$@"; do
        case $package in
        openssh-server) as_root systemctl disable --quiet --now ssh.service ssh.socket >/dev/null 2>&1 || true ;;
        nginx-light) as_root systemctl disable --quiet --now nginx.service >/dev/null 2>&1 || true ;;
        unbound) as_root systemctl disable --quiet --now unbound.service >/dev/null 2>&1 || true ;;
        coturn) as_root systemctl disable --quiet --now coturn.service >/dev/null 2>&1 || true ;;
        redis-server) as_root systemctl disable --quiet --now redis-server.service >/dev/null 2>&1 || true ;;
        samba) as_root systemctl disable --quiet --now smbd.service nmbd.service samba-ad-dc.service >/dev/null 2>&1 || true ;;
        miniupnpd) as_root systemctl disable --quiet --now miniupnpd.service >/dev/null 2>&1 || true ;;
        esac
    done
}

apt_install() {
    run_logged "$deps_dir/apt.log" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@"
}

apt_update() {
    run_logged "$deps_dir/apt.log" as_root apt-get update -o DPkg::Lock::Timeout=300
}

install_packages() {
    local missing
    mapfile -t missing < <(packages_missing "$@")
    if [ ${#missing[@]} = 0 ]; then
        is_there "all $# Debian packages are installed"
        return 0
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        die "${#missing[@]} packages are missing and this is neither root nor is there sudo. As root, run:" \
            "apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing Debian packages: ${#missing[@]} are missing"
    note "${missing[*]}"
    : >"$deps_dir/apt.log"
    services_hold
    trap services_release EXIT
    # An image fresh from the mill has no package lists, or old ones whose files are gone: update, then once more.
    if ! apt_install "${missing[@]}"; then
        note "apt refused; refreshing the package lists and trying once more"
        apt_update || warn "apt-get update failed; trying with the lists that are there"
        if ! apt_install "${missing[@]}"; then
            tail -n 15 "$deps_dir/apt.log" >&2
            die "apt could not install the packages (log: $deps_dir/apt.log)." \
                "Check the network and /etc/apt/sources.list*, then run ./dev deps again, or install by hand:" \
                "apt-get install --no-install-recommends ${missing[*]}"
        fi
    fi
    services_release
    trap - EXIT
    services_disable "${missing[@]}"
    mapfile -t missing < <(packages_missing "${missing[@]}")
    [ ${#missing[@]} = 0 ] || die "apt said yes, but these are still not installed: ${missing[*]}"
}

# --- Source packages ------------------------------------------------------------------------------------------

# The mirror this machine already uses for Debian itself, from one-line and deb822 sources alike. The security
# archive is another tree and of no use here.
debian_mirror() {
    {
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
            sed -nE 's/^[[:space:]]*deb(-src)?[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\3/p'
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
            awk '/^[^[:space:]]/ { in_uris = 0 }
                 tolower($1) == "uris:" { in_uris = 1; $1 = "" }
                 in_uris { for (i = 1; i <= NF; i++) print $i }'
    } | sed -E 's,^mirror\+file:(.*),\1,' | while read -r uri; do
        if [ -r "$uri" ]; then # a mirror list: one address a line
            awk '!/^#/ && NF { print $1 }' "$uri"
        else
            echo "$uri"
        fi
    done | grep -v security | awk '/\/debian\/?$/ { print; found = 1; exit } !other { other = $0 } END { if (!found && other) print other }'
}

debian_keyring() {
    local file
    for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        [ -r "$file" ] && { echo "$file"; return; }
    done
    die "no Debian archive keyring: install the package debian-archive-keyring"
}

# apt with sources and lists of our own: the machine's are neither read nor touched, its proxy settings are.
private_apt() { # suite, apt tool, arguments...
    local dir=$deps_dir/apt/$1 tool=$2
    shift 2
    "$tool" -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$dir/sources" -o Dir::State::Lists="$dir/lists" \
        -o Dir::Cache="$dir/cache" -o Dir::Cache::archives="$dir/cache/archives" -o APT::Sandbox::User="$(id -un)" "$@"
}

private_apt_update() { # suite, "deb" or "deb-src", and the folder if it is not the suite's
    local dir=$deps_dir/apt/${3:-$1} mirror keyring
    [ ! -e "$dir/fresh" ] || return 0
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || { warn "no Debian mirror found in /etc/apt/sources.list*"; return 1; }
    keyring=$(debian_keyring)
    mkdir -p "$dir/sources" "$dir/lists/partial" "$dir/cache/archives/partial"
    printf '%s\n' "Types: $2" "URIs: $mirror" "Suites: $1" "Components: main" "Signed-By: $keyring" \
        >"$dir/sources/source.sources"
    # Without this option apt shrugs at a suite it can't reach.
    run_logged "$deps_dir/source.log" private_apt "${3:-$1}" apt-get update -o APT::Update::Error-Mode=any || return 1
    touch "$dir/fresh"
}

# Downloads and unpacks the first source package that is new enough into $3; prints nothing, sets source_version.
fetch_source() { # package, minimum version, target folder, suites...
    local package=$1 min=$2 target=$3 suite version download
    shift 3
    download=$deps_dir/download/$package
    : >"$deps_dir/source.log"
    for suite in "$@"; do
        private_apt_update "$suite" deb-src || { note "suite $suite: no package lists"; continue; }
        version=$(private_apt "$suite" apt-cache showsrc --only-source "$package" 2>/dev/null |
            sed -n 's/^Version: //p' | sort -V | tail -n 1)
        dpkg --compare-versions "${version:-0}" ge "$min" || { note "suite $suite: $package ${version:-not there}"; continue; }
        rm -rf "$download"
        mkdir -p "$download"
        (cd "$download" && run_logged "$deps_dir/source.log" private_apt "$suite" \
            apt-get source --download-only "$package=$version") || { note "suite $suite: download failed"; continue; }
        rm -rf "$target"
        # apt has checked the files against the signed index; --no-check spares a second, keyring-less look.
        run_logged "$deps_dir/source.log" dpkg-source --no-check --no-copy -x "$download"/*.dsc "$target" || return 1
        source_version=$version
        rm -rf "$download"
        return 0
    done
    return 1
}

source_failed() { # package, minimum version
    tail -n 15 "$deps_dir/source.log" >&2
    die "could not get Debian's source package $1 >= $2 (log: $deps_dir/source.log)." \
        "It is taken from the Debian mirror in /etc/apt/sources.list*: check the network and that the mirror carries" \
        "the suites named above with sources, then run ./dev deps again."
}

source_lists_forget() {
    rm -rf "$deps_dir/apt"
}

# --- libsodium ------------------------------------------------------------------------------------------------

sodium_flags=(--disable-shared --enable-static --with-pic --disable-dependency-tracking)

sodium_is_good() { # folder it is installed in
    [ -f "$1/include/sodium.h" ] && [ -f "$1/lib/libsodium.a" ] &&
        nm "$1/lib/libsodium.a" 2>/dev/null | grep ' T crypto_aead_aegis128l_encrypt$' >/dev/null
}

ensure_sodium() {
    local prefix=$deps_dir/libsodium key work
    if pkg-config --atleast-version="$sodium_min" libsodium 2>/dev/null; then
        is_there "libsodium $(pkg-config --modversion libsodium) of the system will do"
        return 0
    fi
    key=">= $sodium_min ${sodium_flags[*]}"
    if sodium_is_good "$prefix" && [ "$(sed -n 1p "$prefix/.key" 2>/dev/null)" = "$key" ]; then
        is_there "libsodium $(sed -n 2p "$prefix/.key") is built"
        return 0
    fi
    say "building libsodium >= $sodium_min from Debian's source package"
    work=$deps_dir/libsodium-build
    fetch_source libsodium "$sodium_min" "$work" "${sodium_suites[@]}" || source_failed libsodium "$sodium_min"
    rm -rf "$prefix" "$prefix.new"
    (
        cd "$work"
        log=$deps_dir/libsodium.log
        : >"$log"
        run_logged "$log" ./configure --prefix="$prefix.new" "${sodium_flags[@]}" CFLAGS="-O3 -g -fPIC" &&
            run_logged "$log" make -j"$(nproc)" && run_logged "$log" make install
    ) || { tail -n 20 "$deps_dir/libsodium.log" >&2; die "libsodium does not build (log: $deps_dir/libsodium.log)"; }
    sodium_is_good "$prefix.new" || die "libsodium was built, but has no crypto_aead_aegis128l_encrypt"
    printf '%s\n%s\n' "$key" "$source_version" >"$prefix.new/.key"
    rm -rf "$work"
    mv "$prefix.new" "$prefix"
    note "libsodium $source_version is built"
}

# --- lwIP -----------------------------------------------------------------------------------------------------

# Only its source: CMake builds it, once per build type, with our own netstack/lwipopts.h.
ensure_lwip() {
    local target=$deps_dir/lwip-src
    if [ -f "$target/src/Filelists.cmake" ] && [ -s "$target/.key" ] &&
        dpkg --compare-versions "$(cat "$target/.key")" ge "$lwip_min"; then
        is_there "lwIP $(cat "$target/.key") is unpacked"
        return 0
    fi
    say "unpacking lwIP >= $lwip_min from Debian's source package"
    fetch_source lwip "$lwip_min" "$target.new" "${lwip_suites[@]}" || source_failed lwip "$lwip_min"
    [ -f "$target.new/src/core/tcp.c" ] || die "Debian's lwip source package has no src/core/tcp.c"
    echo "$source_version" >"$target.new/.key"
    rm -rf "$target"
    mv "$target.new" "$target"
    note "lwIP $source_version is unpacked"
}

# --- wireguard-go ---------------------------------------------------------------------------------------------

# What ./dev bench compares with: the newest that Debian has, unpacked and not installed. It needs nothing but libc. Without it the installed
# one is compared with, and each result says which it was.
ensure_wireguard_go() {
    local target=$deps_dir/wireguard-go suite version work=$deps_dir/download/wireguard-go
    if [ -x "$target/usr/bin/wireguard-go" ] && [ -s "$target/.key" ]; then
        is_there "wireguard-go $(cat "$target/.key") is unpacked"
        return 0
    fi
    say "unpacking the newest wireguard-go that Debian has"
    for suite in "${wireguard_go_suites[@]}"; do
        private_apt_update "$suite" deb "$suite-bin" || { note "suite $suite: no package lists"; continue; }
        version=$(private_apt "$suite-bin" apt-cache show --no-all-versions wireguard-go 2>/dev/null | sed -n 's/^Version: //p')
        [ -n "$version" ] || { note "suite $suite: no wireguard-go"; continue; }
        rm -rf "$work" "$target"
        mkdir -p "$work" "$target"
        if (cd "$work" && run_logged "$deps_dir/source.log" private_apt "$suite-bin" apt-get download "wireguard-go=$version") &&
            dpkg-deb -x "$work"/wireguard-go_*.deb "$target" && "$target/usr/bin/wireguard-go" --version >/dev/null 2>&1; then
            echo "$version" >"$target/.key"
            rm -rf "$work"
            note "wireguard-go $version of $suite is unpacked"
            return 0
        fi
        note "suite $suite: wireguard-go $version cannot be had, or does not run here"
        rm -rf "$work" "$target"
    done
    warn "no newer wireguard-go than the installed one: ./dev bench compares with that, and says so"
}

# --- machines for the tests of dns.system ---------------------------------------------------------------------

# As the packages are laid out on a machine where /bin, /sbin and /lib are links.
unpack_machine() { # target folder, .deb...
    local target=$1 deb dir
    shift
    rm -rf "$target"
    mkdir -p "$target"/usr/{bin,sbin,lib}
    for dir in bin sbin lib; do ln -s "usr/$dir" "$target/$dir"; done
    for deb in "$@"; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C "$target" || return 1
    done
}

# Of "a|b" the first that this Debian has; `apt-cache show` is content with a name that another package only provides.
package_names() { # name...
    local word
    for word in "$@"; do
        while [[ $word == *"|"* ]] && [ -z "$(apt-cache madison "${word%%|*}" 2>/dev/null)" ]; do word=${word#*|}; done
        echo "${word%%|*}"
    done
}

ensure_machines() {
    local line name packages target download names failed=''
    for line in "${machines[@]}"; do
        name=${line%%:*} packages=${line#*:}
        target=$deps_dir/machines/$name
        [ "$(cat "$target/.key" 2>/dev/null)" != "$packages" ] || continue
        say "unpacking a test machine: $name"
        download=$deps_dir/download/machine-$name
        rm -rf "$download"
        mkdir -p "$download"
        # shellcheck disable=SC2086
        mapfile -t names < <(package_names $packages)
        if (cd "$download" && run_logged "$deps_dir/machines.log" apt-get download "${names[@]}") &&
            unpack_machine "$target" "$download"/*.deb; then
            echo "$packages" >"$target/.key"
        else
            failed="$failed $name"
        fi
        rm -rf "$download"
    done
    [ -z "$failed" ] || warn "cannot get the packages of:$failed (log: $deps_dir/machines.log); their tests are skipped"
}

# --- all of it ------------------------------------------------------------------------------------------------

# No stamp: asking dpkg and looking at the two libraries takes a tenth of a second and is never out of date.
ensure_deps() { # "all" or "build"
    local packages=("${build_packages[@]}")
    [ "$1" = build ] || packages+=("${test_packages[@]}")
    is_debian || explain_foreign_system
    mkdir -p "$deps_dir"
    # Two runs at a time would build into one folder.
    exec 9>"$deps_dir/lock"
    flock 9
    install_packages "${packages[@]}"
    ensure_sodium
    ensure_lwip
    [ "$1" = build ] || ensure_wireguard_go
    [ "$1" = build ] || ensure_machines
    source_lists_forget
    exec 9>&-
}
