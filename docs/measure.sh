#!/bin/sh
# Measures what the README says: idle memory, and the time from start to the first answer on an existing
# database. Usage: sh docs/measure.sh target/release/latchkey
set -eu
binary=$1
folder=$(mktemp -d)
trap 'kill $pid 2>/dev/null; rm -rf "$folder"' EXIT
port=18080
url=http://127.0.0.1:$port/health/ready
export LATCHKEY__DATA__FOLDER="$folder/data" LATCHKEY__SERVER__PORT=$port LATCHKEY__LOG__LEVEL=error

milliseconds() { date +%s%3N; }
start() {
  began=$(milliseconds)
  "$binary" >/dev/null &
  pid=$!
  until curl -sf $url >/dev/null 2>&1; do :; done
  ended=$(milliseconds)
}

start # makes the data
kill $pid && wait $pid || true
for _ in 1 2 3; do
  start
  echo "start to first answer: $((ended - began)) ms"
  sleep 2
  echo "idle memory: $(($(ps -o rss= -p $pid) / 1024)) MiB"
  kill $pid && wait $pid || true
done
