// The root store in the firmware's flash (docs/guide/root-stores.md): the file that USSL_ROOTS names.

__asm__(
    ".section .rodata.ussl_roots, \"a\"\n"
    ".balign 4\n"
    ".global ussl_roots\n"
    "ussl_roots:\n"
    ".incbin \"" USSL_ROOTS_FILE "\"\n"
    ".global ussl_roots_end\n"
    "ussl_roots_end:\n"
    ".byte 0\n"
    ".previous\n"
    );
