# MicroPython's rp2 port (RP2040, RP2350). The Pico SDK is a submodule of MicroPython; it fetches and builds picotool itself,
# if that is not installed.

packages=rp2 compiler=arm-none-eabi-g++
comparisons=(none own)

boards() { boards_in_folders; }

# Once: it configures a build. CMake finds out what the board needs.
submodules() {
    [[ ! -e $dir/submodules ]] || return 0
    fetch_submodules lib/pico-sdk
    must "fetching the submodules of $board into $micropython" "$dir/submodules.log" \
        make -C "$micropython/ports/rp2" BOARD="$board" BUILD="$dir/none" submodules
    touch "$dir/submodules"
}

build() {
    local word cmake=() make=() modules=()
    case $1 in
        ussl) modules=(USER_C_MODULES="$root/bindings/micropython/micropython.cmake") ;;
        none) modules=(USER_C_MODULES="$root/tools/firmware/without_tls.cmake") ;;
    esac
    for word in "${options[@]}"; do
        [[ $word == USSL_* ]] && cmake+=("-D$word") || make+=("$word")
    done
    # By the environment: on make's command line, CMAKE_ARGS would replace what the Makefile adds to it. One picotool for all.
    CMAKE_ARGS="${cmake[*]}" PICOTOOL_FETCH_FROM_GIT_PATH="$builds/picotool" \
        must "building $board, ${names[$1]}" "$dir/$1.log" make -j"$(nproc)" -C "$micropython/ports/rp2" \
        BOARD="$board" BUILD="$dir/$1" "${modules[@]}" "${make[@]}"
}

product() { echo "$dir/$1/firmware.uf2"; }

flash() {
    cat <<EOF
by USB: hold BOOTSEL while you connect the board (or machine.bootloader()), and copy firmware.uf2 to the
    drive that appears
by picotool: picotool load -x $dir/ussl/firmware.uf2
EOF
}

sizes() {
    "$root/tools/firmware/sizes" --files rp2_flash_obj "$dir/$1/firmware.elf" "$dir/$1/firmware.elf.map" __GcHeapStart __GcHeapEnd
}
