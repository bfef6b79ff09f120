# MicroPython's rp2 port (RP2040, RP2350). The Pico SDK is a submodule of MicroPython; it fetches and builds picotool itself,
# if that is not installed.

packages=rp2 compiler=arm-none-eabi-g++
comparisons=(none own)

boards() { boards_in_folders; }

submodules() {
    fetch_submodules lib/pico-sdk
    fetch_submodules_of_cmake
}

build() {
    local modules cmake make first=()
    set_cmake_options "$1"
    # The first build makes one picotool for all, and others wait for it.
    [[ -e $builds/picotool/picotool/picotool ]] || first=(flock "$builds/picotool.lock")
    # In the environment: on make's command line, CMAKE_ARGS would replace the words that the Makefile adds to it.
    CMAKE_ARGS="${cmake[*]}" PICOTOOL_FETCH_FROM_GIT_PATH="$builds/picotool" \
        must "building $board, ${names[$1]}" "$dir/$1.log" "${first[@]}" \
        make -j"$(nproc)" -C "$micropython/ports/rp2" BOARD="$board" BUILD="$dir/$1" "${modules[@]}" "${make[@]}"
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
