# Sourced by the other scripts: where things are, and Debian packages on demand.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${TALLY_CACHE:-$root/.cache}

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

build_packages=(cmake ninja-build gcc libc6-dev pkg-config libsqlite3-dev libuv1-dev libjansson-dev libpg-query-dev libpq-dev
                libzstd-dev zlib1g-dev libxxhash-dev libgmp-dev libinih-dev libcmocka-dev tzdata)

# need PACKAGE...: install what is missing, without questions and recommends. Quick when nothing is.
need() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || die "these Debian packages are missing: ${missing[*]}"
  local sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  say "installing ${missing[*]}"
  "${sudo[@]}" apt-get update -q >&2 || true
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

# build FOLDER [cmake options]: configure and build the program.
build() {
  local folder=$1
  shift
  need "${build_packages[@]}"
  if [ ! -f "$root/$folder/build.ninja" ] || [ $# -gt 0 ]; then
    cmake -G Ninja -S "$root" -B "$root/$folder" "$@" >/dev/null
  fi
  ninja -C "$root/$folder" --quiet tally >&2
}

# need_npm: node and npm, from Debian where they are not there already; fails (does not end the script) when they can't be had.
need_npm() {
  command -v node >/dev/null && command -v npm >/dev/null && return 0
  (need nodejs npm) || return 1
}
