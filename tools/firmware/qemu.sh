# MicroPython's qemu port, on ussl's board (bindings/micropython/qemu): tools/micropython builds it.

packages=mcu
source_kind=micropython
comparisons=(none)
note="MicroPython's qemu port has no TLS of its own to compare with."
declare -A elf

boards() { printf '%s\n' MPS2_AN385 VIRT_RV32; }

build() {
    local kind=mcu more=()
    [[ $board != VIRT_RV32 ]] || kind=rv32
    # The same board, without ussl.
    [[ $1 != none ]] || more=(USER_C_MODULES=)
    elf[$1]=$("$root/tools/micropython" "$kind" "${options[@]}" "${more[@]}" 9>&-) || exit 1
}

product() { echo "${elf[$1]}"; }

flash() { echo "nothing to flash; in an emulator: USSL_MCU_FIRMWARE=${elf[ussl]} ./run --mcu FILE.py"; }

sizes() { "$root/tools/firmware/sizes" "${elf[$1]}" "${elf[$1]%elf}map" gc_heap; }
