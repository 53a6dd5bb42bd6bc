# Makes the program that the supervisor starts: the one beside this file, run by the interpreter of the tests.
set -e
printf '#!/bin/sh\nexec "%s" "%s/program.py" --app "%s/.." "$@"\n' "$WORDS_PYTHON" "$PWD" "$PWD" >"$TRICORN_BUILD/counter"
chmod +x "$TRICORN_BUILD/counter"
