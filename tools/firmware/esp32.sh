# MicroPython's esp32 port. Espressif's SDK, ESP-IDF, is installed by the user: it brings compilers of its own.

packages=esp32
comparisons=(none own)

prepare() {
    if [[ -z ${IDF_PATH:-} ]]; then
        say "esp32 needs Espressif's SDK, ESP-IDF, which Debian does not have, and IDF_PATH is not set. Once:"
        cat >&2 <<'EOF'
    git clone -b v5.5.1 --recursive https://github.com/espressif/esp-idf.git
    ./esp-idf/install.sh
and in each new shell, before ./firmware:
    . ./esp-idf/export.sh
MicroPython's ports/esp32/README.md names the versions of ESP-IDF that it supports.
EOF
        exit 3
    fi
    [[ -e $IDF_PATH/tools/cmake/project.cmake ]] || bad "IDF_PATH=$IDF_PATH: this is not ESP-IDF (there is no tools/cmake/project.cmake)"
    command -v idf.py >/dev/null || absent "IDF_PATH is set, but idf.py is not in PATH: run '. $IDF_PATH/export.sh' first" \
        "(and once, before that, $IDF_PATH/install.sh)"
}

boards() { boards_in_folders; }

submodules() { fetch_submodules_of_cmake; }

# The board's folder, and ussl's options of ESP-IDF after those of the board.
make_board() {
    local original=$micropython/ports/esp32/boards/$board
    mkdir -p "$dir/board"
    ln -sf "$original"/* "$dir/board"
    rm -f "$dir/board/mpconfigboard.cmake"
    cat >"$dir/board/mpconfigboard.cmake" <<EOF
include($original/mpconfigboard.cmake)
list(APPEND SDKCONFIG_DEFAULTS $root/bindings/micropython/esp32/sdkconfig.ussl)
EOF
}

build() {
    local modules cmake make
    set_cmake_options "$1"
    if [[ $1 == ussl ]]; then
        make_board
        modules+=(BOARD_DIR="$dir/board")
    fi
    # By the environment, to which the Makefile adds.
    IDFPY_FLAGS="${cmake[*]}" must "building $board, ${names[$1]}" "$dir/$1.log" make -C "$micropython/ports/esp32" \
        BOARD="$board" BUILD="$dir/$1" "${modules[@]}" "${make[@]}"
}

product() { echo "$dir/$1/firmware.bin, micropython.bin"; }

flash() {
    cat <<EOF
by the serial port: (cd $dir/ussl && python -m esptool write_flash @flash_args)
    The first time: python -m esptool erase_flash
EOF
}

# MicroPython takes its heap from ESP-IDF's while it runs.
sizes() {
    local used left ram
    used=$(stat -c %s "$dir/$1/micropython.bin")
    left=$(python3 - "$dir/$1/partition_table/partition-table.bin" "$used" <<'PYTHON'
import struct, sys
table = open(sys.argv[1], "rb").read()
sizes = []
for at in range(0, len(table) - 31, 32):
    magic, kind, _, _, size = struct.unpack_from("<HBBII", table, at)
    if magic == 0x50AA and kind == 0:  # an app
        sizes.append(size)
print(min(sizes) - int(sys.argv[2]) if sizes else "-")
PYTHON
    )
    read -r _ _ ram _ < <("$root/tools/firmware/sizes" "$dir/$1/micropython.elf" "$dir/$1/micropython.map")
    echo "$used $left $ram -"
}
