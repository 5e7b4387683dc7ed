#!/bin/sh
# Installs docker-api-gateway. It needs sh and curl or wget:
#   curl -fsSL https://github.com/docker-api-gateway/docker-api-gateway/releases/latest/download/install.sh | sh
#   wget -qO- https://github.com/docker-api-gateway/docker-api-gateway/releases/latest/download/install.sh | sh
# Another release than the newest:       ... | sh -s -- 2.0.0
# Into another folder than /usr/local/bin (root) or ~/.local/bin:
#                                        ... | INSTALL_DIR=/opt/bin sh
# From a mirror of the releases:         ... | GATEWAY_RELEASES=https://mirror.example.com/releases sh
set -eu

releases=${GATEWAY_RELEASES:-https://github.com/docker-api-gateway/docker-api-gateway/releases}
releases=${releases%/}
name=docker-api-gateway

say() { printf '%s\n' "$*"; }

# fail WHAT [HINT]: every failure ends here, before anything is in place.
fail() {
  printf 'install.sh: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf '  hint: %s\n' "$2" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# The kind of this machine, as in the names of the files of a release.
machine_kind() {
  [ "$(uname -s)" = Linux ] || fail "Cannot install on $(uname -s): it is made for Linux"
  case $(uname -m) in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "Cannot install on $(uname -m): there are programs for x86_64 and aarch64" ;;
  esac
  # What ldd says of itself comes first: Alpine may have glibc's loader too, and Debian musl's.
  case $(ldd --version 2>&1 || true) in
    *musl*) libc=-musl ;;
    *GLIBC* | *GNU* | *glibc*) libc= ;;
    *)
      if [ -e /lib64/ld-linux-x86-64.so.2 ] || [ -e /lib/ld-linux-aarch64.so.1 ]; then
        libc=
      elif [ -e /lib/ld-musl-x86_64.so.1 ] || [ -e /lib/ld-musl-aarch64.so.1 ]; then
        libc=-musl
      else
        fail "Cannot install: this machine has neither glibc nor musl where programs look for them"
      fi
      ;;
  esac
  say "linux-$arch$libc"
}

# fetch URL FILE
fetch() {
  from=$1 file=$2
  if [ "$loader" = wget ]; then
    case $(wget --version 2>&1 || true) in
      *"GNU Wget"*) set -- --tries=3 --timeout=60 ;;
      # Busybox 1.35 crashes where it is given a timeout.
      *) set -- ;;
    esac
    wget -q "$@" -O "$file" "$from"
    return
  fi
  set -- --fail --location --show-error --connect-timeout 30 --speed-time 60
  # Nothing leads curl away to what is not encrypted; wget has no such setting.
  case $from in https:*) set -- "$@" --proto =https --proto-redir =https ;; esac
  if [ -t 2 ]; then set -- "$@" --progress-bar; else set -- "$@" --silent; fi
  curl "$@" --output "$file" "$from"
}

# sha256 FILE
sha256() {
  case $hasher in
    openssl) sum=$(openssl dgst -sha256 -r <"$1") ;;
    shasum) sum=$(shasum -a 256 <"$1") ;;
    busybox) sum=$(busybox sha256sum <"$1") ;;
    *) sum=$(sha256sum <"$1") ;;
  esac
  say "${sum%% *}"
}

# first PROGRAM...: the first of them that is there.
first() {
  for each in "$@"; do
    if has "$each"; then
      say "$each"
      return
    fi
  done
}

main() {
  version=${1:-}
  version=${version#v}
  case $version in
    *[!0-9A-Za-z.-]*) fail "Cannot install version \"$version\": it is no version" "such as 2.0.0" ;;
  esac
  kind=$(machine_kind)
  loader=$(first curl wget)
  [ -n "$loader" ] || fail "Cannot download: there is neither curl nor wget" "install one of them"
  hasher=$(first sha256sum openssl shasum busybox)
  [ -n "$hasher" ] ||
    fail "Cannot verify a download: there is no sha256sum" "install coreutils or openssl"
  # Half as much to download where it can be unpacked.
  ending=
  if has tar && has gzip; then ending=.tar.gz; fi

  if [ -n "${INSTALL_DIR:-}" ]; then
    dir=$INSTALL_DIR
  elif [ "$(id -u)" = 0 ]; then
    dir=/usr/local/bin
  else
    dir=${HOME:?}/.local/bin
  fi
  # Beside where it goes, so that the last step is a rename; the folder itself is made last.
  place=$dir
  while [ ! -d "$place" ]; do place=$(dirname "$place"); done
  [ -w "$place" ] ||
    fail "Cannot install into $dir: you may not write to $place" "run it as root, or set INSTALL_DIR"
  [ ! -d "$dir/$name" ] || fail "Cannot install $dir/$name: that is a folder"
  work=$(mktemp -d "$place/.$name.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' HUP TERM

  sums=$releases/latest/download/SHA256SUMS
  [ -z "$version" ] || sums=$releases/download/v$version/SHA256SUMS
  fetch "$sums" "$work/SHA256SUMS" ||
    fail "Cannot fetch $sums" "is there such a release, and a way to that server?"
  # "SUM VERSION" of the file for this machine.
  line=$(sed -n "s/^\([0-9a-f]\{64\}\) [ *]$name-\([0-9][0-9A-Za-z.-]*\)-$kind$ending\$/\1 \2/p" \
    "$work/SHA256SUMS" | head -n 1)
  expected=${line%% *}
  found=${line##* }
  if [ -z "$line" ] || [ "$found" != "${version:-$found}" ]; then
    fail "Cannot install: that release has no file for $kind" "see $releases"
  fi
  version=$found
  program=$name-$version-$kind
  asset=$program$ending

  say "downloading $name $version for $kind"
  fetch "$releases/download/v$version/$asset" "$work/$asset" ||
    fail "Cannot fetch $releases/download/v$version/$asset" "nothing was installed; try again"
  actual=$(sha256 "$work/$asset")
  [ "$actual" = "$expected" ] ||
    fail "Cannot use $asset: its SHA-256 is $actual and should be $expected" \
      "nothing was installed; try again, and where it stays so, do not trust that server"
  new=$work/$asset
  if [ -n "$ending" ]; then
    tar -xzf "$work/$asset" -C "$work" "$program/$name" ||
      fail "Cannot unpack $asset" "is the disk full?"
    new=$work/$program/$name
  fi
  chmod 755 "$new"
  said=$("$new" --version </dev/null 2>&1) || true
  case $said in
    "$name $version "*) ;;
    *libstdc++*) fail "Cannot run $name: it needs libstdc++" "apk add libstdc++, then run this again" ;;
    *) fail "Cannot run $name on this machine: $said" "nothing was installed" ;;
  esac

  mkdir -p "$dir"
  # What was there is kept, so that `upgrade --back` finds it.
  if [ -f "$dir/$name" ] && [ "$("$dir/$name" --version </dev/null 2>&1 || true)" != "$said" ]; then
    ln -f "$dir/$name" "$dir/$name.old" 2>/dev/null || cp -p "$dir/$name" "$dir/$name.old"
    say "the program that was there is kept as $dir/$name.old"
  fi
  mv -f "$new" "$dir/$name"
  say "installed $dir/$name"
  case :$PATH: in
    *:"$dir":*) command=$name ;;
    *) command=$dir/$name ;;
  esac
  say "next: $command doctor      looks whether everything is there that it needs"
  say "      $command install     has systemd run it"
}

# In braces: a download of this script that is cut anywhere runs nothing.
{
  main "$@"
  exit
}
