#!/bin/sh
# What `./dev demo travel` runs; see demo.py.
exec /usr/bin/python3 "$(dirname "$0")/demo.py" "$@"
