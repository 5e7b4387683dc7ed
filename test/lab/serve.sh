#!/bin/sh
# Serves one HTTP connection on stdin and stdout of a lab container, telling what it received.
read -r host </etc/hostname
CR=$(printf '\r')
NL='
'

# parameter NAME DEFAULT: sets $value from the query.
parameter() {
  value=$2
  IFS='&'
  for pair in $query; do
    case $pair in "$1="*) value=${pair#*=} ;; esac
  done
  unset IFS
}

# copy BYTES: exactly that many from stdin to stdout, without reading ahead.
copy() {
  [ "$(($1 / 65536))" = 0 ] || dd bs=65536 count="$(($1 / 65536))" iflag=fullblock 2>/dev/null
  [ "$(($1 % 65536))" = 0 ] || dd bs="$(($1 % 65536))" count=1 iflag=fullblock 2>/dev/null
}

# answer STATUS BODY [HEADER]
answer() {
  set -- "$1" "$2" "${3:+$3$CR$NL}"
  head="HTTP/1.1 $1$CR${NL}Content-Type: text/plain$CR${NL}X-Container: ${LAB_NAME:-$host}$CR${NL}$3"
  head="${head}Content-Length: ${#2}$CR$NL${close:+Connection: close$CR$NL}$CR$NL"
  if [ "$method" = HEAD ]; then printf %s "$head"; else printf %s "$head$2"; fi
}

export LC_ALL=C
while IFS= read -r line; do
  line=${line%"$CR"}
  [ -n "$line" ] || continue
  method=${line%% *}
  line=${line#* }
  target=${line%% *}
  version=${line#* }
  headers= length=0 chunked= expects= upgrade= key= close=
  [ "$version" != HTTP/1.0 ] || close=yes
  while IFS= read -r line; do
    line=${line%"$CR"}
    [ -n "$line" ] || break
    headers="${headers}header: $line$NL"
    value=${line#*:}
    value=${value# }
    case $line in
      [Cc]ontent-[Ll]ength:*) length=$value ;;
      [Tt]ransfer-[Ee]ncoding:*chunked*) chunked=yes ;;
      [Ee]xpect:*) expects=yes ;;
      [Cc]onnection:*close*) close=yes ;;
      [Uu]pgrade:*websocket*) upgrade=yes ;;
      [Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:*) key=$value ;;
    esac
  done

  if [ -n "$upgrade" ]; then
    accept=$(printf %s "${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11" | sha1sum | cut -c 1-40 | xxd -r -p | base64)
    head="HTTP/1.1 101 Switching Protocols$CR${NL}Upgrade: websocket$CR${NL}Connection: Upgrade$CR$NL"
    head="${head}X-Container: ${LAB_NAME:-$host}$CR$NL"
    printf %s "${head}Sec-WebSocket-Accept: $accept$CR$NL$CR$NL"
    # The echo is of bytes, frames are not looked into.
    exec cat
  fi

  [ -z "$expects" ] || printf 'HTTP/1.1 100 Continue\r\n\r\n'
  if [ -n "$chunked" ]; then
    length=0
    while IFS= read -r line; do
      line=${line%"$CR"}
      size=$((0x${line%%;*}))
      [ "$size" != 0 ] || break
      length=$((length + $(copy "$size" | wc -c)))
      IFS= read -r line
    done
    while IFS= read -r line && [ -n "${line%"$CR"}" ]; do :; done
  elif [ "$length" -gt 0 ]; then
    length=$(($(copy "$length" | wc -c)))
  fi

  query=
  case $target in *\?*) query=${target#*\?} ;; esac
  body="container: $host${NL}name: $LAB_NAME${NL}method: $method${NL}target: $target$NL"
  body="${body}version: $version${NL}body: $length$NL$headers"
  # A path ends in these names: so they work with and without a prefix before them.
  case ${target%%\?*} in
    */redirect)
      parameter to /login
      answer '302 Found' "$body" "Location: $value"
      ;;
    */cookie) answer '200 OK' "$body" 'Set-Cookie: a=b; Path=/' ;;
    */slow)
      parameter ms 1000
      usleep "${value}000"
      answer '200 OK' "$body"
      ;;
    */status)
      parameter code 503
      answer "$value Asked For" "$body"
      ;;
    */health)
      if [ -e /lab/healthy ]; then answer '200 OK' healthy; else answer '503 Unhealthy' unhealthy; fi
      ;;
    */die)
      # The whole container ends, and leaves this without an answer.
      kill -USR1 1
      exec sleep 60
      ;;
    */stream)
      parameter bytes 0
      printf 'HTTP/1.1 200 OK\r\nX-Container: %s\r\nContent-Length: %s\r\n\r\n' "${LAB_NAME:-$host}" "$value"
      [ "$method" = HEAD ] || copy "$value" </dev/zero
      ;;
    *) answer '200 OK' "$body" ;;
  esac
  [ -z "$close" ] || break
done
