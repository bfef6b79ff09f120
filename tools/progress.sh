# Sourced by scripts that build: a long command with one line of progress, and its output in a log.

# run_logged SCRIPT TASK LOG COMMAND...: prints "SCRIPT: TASK ..... 12 s" to stderr, with a dot for every 20 lines of the command's
# output, which is added to LOG. The variables of a make above would change a make below; PYTHONDONTWRITEBYTECODE keeps
# source trees clean.
run_logged() {
    local script=$1 task=$2 log=$3 lines=0 begin=$SECONDS
    shift 3
    printf '%s: %s ' "$script" "$task" >&2
    if env -u MAKEFLAGS -u MFLAGS PYTHONDONTWRITEBYTECODE=1 "$@" 2>&1 | tee -a "$log" | while IFS= read -r _; do
        ((++lines % 20)) || printf . >&2
    done; then
        printf ' %d s\n' $((SECONDS - begin)) >&2
    else
        printf ' failed\n' >&2
        return 1
    fi
}

# The last lines of a log, without those of steps that succeed.
show_end_of() {
    grep -vE '^(CC|CXX|GEN|MPY|LINK|QSTR|Module reg|Root pointer|Compressed|Use make|\[ *[0-9]+%\]|mkdir|make(\[[0-9]+\])?: (Entering|Leaving)) ?' "$1" |
        tail -n 40 >&2 || true
}
