#!/bin/sh
# The first process of a lab container: listens on LAB_PORTS and obeys (or not) the signal to stop.
#
# LAB_GRACE_MS  keeps serving that long after the signal
# LAB_STUBBORN  set: ignores the signals to stop, so that only KILL ends it
if [ -n "$LAB_STUBBORN" ]; then
  trap '' TERM INT QUIT USR1
else
  # As process 1 a program ignores every signal that it does not handle.
  trap 'usleep "${LAB_GRACE_MS:-0}000"; exit 0' TERM INT QUIT USR1
fi
for port in ${LAB_PORTS:-8000}; do
  # Every further -l makes room for one more waiting connection; two would stall under load.
  nc -llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll -p "$port" -e /lab/serve.sh &
done
wait
