# Sourced by scripts/test --sanitize: the tests run in a copy of the tree under build/sanitize, whose hot modules are compiled with
# AddressSanitizer and UndefinedBehaviorSanitizer. Nothing of it is in the usual build.

SANITIZED=$ROOT/build/sanitize
# Frames on the stack get no red zones: greenlet copies pieces of stacks away and back, so those of one greenlet would be found
# under another's frames. What is on the heap, and in the arena (mosn_mp/buffer/poison.pxd), has them.
SANITIZE="-fsanitize=address,undefined"
SANITIZE_CFLAGS="$SANITIZE --param asan-stack=0 -fno-omit-frame-pointer -g1"

# The libraries that a Python which was not compiled with them has to load before any other.
sanitizer_libraries() {
    local cc name path
    cc=${CC:-$(python_says "(sysconfig.get_config_var('CC') or 'cc').split()[0]")}
    for name in libasan.so libubsan.so; do
        path=$("$cc" -print-file-name="$name" 2>/dev/null)
        [ -e "$path" ] || fail "scripts/test --sanitize needs gcc with its sanitizers, and the C compiler '$cc' has no $name:" \
            "install gcc (Debian: apt-get install gcc) or set CC to one that has it."
        printf '%s ' "$path"
    done
}

# The sources as they are now; what was compiled of them stays, and is compiled again where they changed.
copy_sources() {
    mkdir -p "$SANITIZED"
    (cd "$SANITIZED" && find . -path ./build -prune -o -type f ! -name '*.so' -exec rm -f {} +)
    tar -C "$ROOT" -cf - --exclude='*.so' --exclude=__pycache__ --exclude=./build --exclude='./.[!.]*' . | tar -C "$SANITIZED" -xf -
    cp "$ROOT/scripts/sanitize_site.py" "$SANITIZED/sitecustomize.py"
}

# run_sanitized PYTEST-ARGUMENTS...: never returns.
run_sanitized() {
    local libraries log=$ROOT/build/sanitize.log
    libraries=$(sanitizer_libraries) || exit 1
    copy_sources
    say "compiling what changed with sanitizers (all of it, the first time, takes minutes)"
    CFLAGS=$SANITIZE_CFLAGS LDFLAGS=$SANITIZE "$VENV/bin/python" "$SANITIZED/scripts/build_hooks/hot_modules.py" >"$log" 2>&1 || {
        cat "$log" >&2
        fail "The hot modules could not be compiled: the compiler's message is above."
    }
    cd "$SANITIZED" || exit 1
    # Python frees nothing at its end, so leaks are not looked for; its own allocator would hide what lies beside its objects.
    export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:allocator_may_return_null=1:handle_segv=0
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    export LD_PRELOAD=${libraries% } PYTHONMALLOC=malloc PYTHONPATH=$SANITIZED
    exec "$VENV/bin/python" -m pytest -n "$(nproc)" --dist worksteal --timeout 600 "$@"
}
