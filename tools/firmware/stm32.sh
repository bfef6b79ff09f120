# MicroPython's stm32 port. ST's library is a submodule of MicroPython.

packages=stm32 compiler=arm-none-eabi-g++
comparisons=(none own)

boards() { boards_in_folders; }

# shellcheck disable=SC2046
submodules() {
    fetch_submodules_of_make $(tls_options ussl)
    [[ -n $quick ]] || fetch_submodules_of_make $(tls_options own)
}

build() {
    local modules=()
    [[ $1 != ussl ]] || modules=(USER_C_MODULES="$root/bindings")
    # shellcheck disable=SC2046
    must "building $board, ${names[$1]}" "$dir/$1.log" make -j"$(nproc)" -C "$micropython/ports/stm32" \
        BOARD="$board" BUILD="$dir/$1" "${modules[@]}" $(tls_options "$1") "${options[@]}"
}

product() { echo "$dir/$1/firmware.dfu, firmware.hex"; }

flash() {
    cat <<EOF
by USB: start the board's boot loader (machine.bootloader(), or its BOOT0 pin), then
    dfu-util -a 0 -d 0483:df11 -D $dir/ussl/firmware.dfu -s :leave
by ST-LINK: STM32_Programmer_CLI -c port=SWD -w $dir/ussl/firmware.hex -rst
EOF
}

sizes() { "$root/tools/firmware/sizes" "$dir/$1/firmware.elf" "$dir/$1/firmware.map" _heap_start _heap_end; }
