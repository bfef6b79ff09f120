// Starts the board: mounts the host's files, starts the network, and runs a program with its arguments. They are words of
// semihosting's command line (tools/mcu writes them):
//
//     ip=ADDRESS [entropy=FILE] [clock=SECONDS] [PROGRAM ARGUMENT...]
//
// ADDRESS is dhcp, an IPv4 address, or off. FILE replaces /dev/urandom, and SECONDS since 1970 the host's time. In words, a
// space, a comma or a percent sign is written as %XX. Without a program, or without such a line, MicroPython's prompt
// starts.

#include <stdlib.h>
#include <string.h>

#include "py/compile.h"
#include "py/gc.h"
#include "py/lexer.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/runtime/interrupt_char.h"

#include "extmod/modnetwork.h"

#include "board.h"
#include "semihosting.h"

// --- a tick each millisecond: Ctrl-C, and the network

#ifdef __arm__

#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)
#define SCB_VTOR (*(volatile uint32_t *)0xe000ed08)
#define SCB_CCR (*(volatile uint32_t *)0xe000ed14)
#define CLOCK 25000000

static bool ticking;
static void (*port_tick)(void); // the clock of MicroPython 1.26 and newer
static char typed[64]; // read before the program asks for it
static size_t typed_begin, typed_end;

// The linker redirects the port's calls of uart_rx_chr to this function (--wrap).
int __real_uart_rx_chr(void);
int __wrap_uart_rx_chr(void);
int __wrap_uart_rx_chr(void) {
    const mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION();
    const int c = typed_begin != typed_end ? typed[typed_begin++ % sizeof(typed)] : __real_uart_rx_chr();
    MICROPY_END_ATOMIC_SECTION(state);
    return c;
}

#if MICROPY_PY_LWIP
static void network_turn(mp_sched_node_t *node) {
    (void)node;
    ussl_board_network_poll();
}
static mp_sched_node_t network_node;
#endif

static void tick(void) {
    if (port_tick) {
        port_tick();
    }
    while (mp_interrupt_char >= 0 && typed_end - typed_begin < sizeof(typed)) {
        const int c = __real_uart_rx_chr();
        if (c < 0) {
            break;
        }
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            typed[typed_end++ % sizeof(typed)] = c;
        }
    }
    #if MICROPY_PY_LWIP
    mp_sched_schedule_node(&network_node, network_turn);
    #endif
}

static void start_ticking(void) {
    // The port's vector table has no entry for a tick.
    static uint32_t vectors[16] __attribute__((aligned(128)));
    memcpy(vectors, (const void *)SCB_VTOR, sizeof(vectors));
    if (SYST_CSR & 1) {
        port_tick = (void (*)(void))vectors[15];
    }
    vectors[15] = (uint32_t)&tick;
    SCB_VTOR = (uint32_t)vectors;
    SYST_RVR = CLOCK / 1000 - 1;
    SYST_CVR = 0;
    SYST_CSR = 7; // on, with interrupts, from the processor's clock
    ticking = true;
}

#else

// Without a tick, Ctrl-C ends QEMU, and there is no network.
int __real_uart_rx_chr(void);
int __wrap_uart_rx_chr(void);
int __wrap_uart_rx_chr(void) {
    return __real_uart_rx_chr();
}

static const bool ticking = false;
static void start_ticking(void) {
}

#endif

void ussl_board_wait(void) {
    if (ticking) {
        __asm__ volatile ("wfi");
        #if MICROPY_PY_LWIP
        // Polled here as well, because the scheduler is locked while it runs a program's callback.
        ussl_board_network_poll();
        #endif
    }
}

// The linker redirects all calls of mp_hal_delay_ms to this function (--wrap). The port's own function, if there is one,
// does not run the scheduler or the network meanwhile.
void __wrap_mp_hal_delay_ms(mp_uint_t ms);
void __wrap_mp_hal_delay_ms(mp_uint_t ms) {
    const mp_uint_t begin = mp_hal_ticks_ms();
    do {
        mp_event_wait_ms(1);
    } while (mp_hal_ticks_ms() - begin < ms);
}

uint32_t ussl_board_irq_off(void) {
    uint32_t state;
    #ifdef __riscv
    __asm__ volatile ("csrrci %0, mstatus, 8" : "=r" (state) : : "memory");
    #else
    __asm__ volatile ("mrs %0, primask\n\tcpsid i" : "=r" (state) : : "memory");
    #endif
    return state;
}

void ussl_board_irq_restore(uint32_t state) {
    #ifdef __riscv
    __asm__ volatile ("csrs mstatus, %0" : : "r" (state & 8) : "memory");
    #else
    __asm__ volatile ("msr primask, %0" : : "r" (state) : "memory");
    #endif
}

// --- the program

static int digit(char c) {
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

// Returns the decoded words of the command line.
static mp_obj_t command_line(void) {
    enum { LINE = 4096 };
    char *line = m_new(char, LINE); // not on the stack, whose depth is measured (bench/mcu)
    const struct {
        char *line;
        uint32_t size;
    } arguments = { line, LINE };
    mp_obj_t words = mp_obj_new_list(0, NULL);
    if (semihosting(SYS_GET_CMDLINE, &arguments) || strncmp(line, "ip=", 3) != 0) {
        return words;
    }
    char *to = line;
    const char *word = line;
    for (const char *from = line;; ++from) {
        if (*from == ' ' || *from == '\0') {
            mp_obj_list_append(words, mp_obj_new_str(word, to - word));
            word = to;
            if (*from == '\0') {
                break;
            }
        } else if (*from == '%') {
            *to++ = digit(from[1]) << 4 | digit(from[2]);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    m_del(char, line, LINE);
    return words;
}

// Returns the exit status of an exception.
static int status_of(mp_obj_t exception) {
    if (mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(mp_obj_get_type(exception)), MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
        const mp_obj_t value = mp_obj_exception_get_value(exception);
        if (value == mp_const_none) {
            return 0;
        }
        if (mp_obj_is_small_int(value)) {
            return MP_OBJ_SMALL_INT_VALUE(value) & 0xff;
        }
        mp_obj_print_helper(&mp_plat_print, value, PRINT_STR);
        mp_print_str(&mp_plat_print, "\n");
        return 1;
    }
    mp_obj_print_exception(&mp_plat_print, exception);
    return 1;
}

static int run(const char *program) {
    nlr_buf_t nlr;
    mp_hal_set_interrupt_char(3); // Ctrl-C
    if (nlr_push(&nlr) == 0) {
        mp_lexer_t *lexer = mp_lexer_new_from_file(qstr_from_str(program));
        const qstr source = lexer->source_name;
        mp_store_global(MP_QSTR___file__, MP_OBJ_NEW_QSTR(source));
        mp_parse_tree_t tree = mp_parse(lexer, MP_PARSE_FILE_INPUT);
        mp_call_function_0(mp_compile(&tree, source, false));
        nlr_pop();
        return 0;
    }
    mp_hal_set_interrupt_char(-1);
    return status_of(MP_OBJ_FROM_PTR(nlr.ret_val));
}

__attribute__((noreturn)) static void leave(uint32_t status) {
    const struct {
        uint32_t reason;
        uint32_t status;
    } application_exit = { 0x20026, status };
    semihosting(SYS_EXIT_EXTENDED, &application_exit);
    for (;;) {
    }
}

// Returns the part of the word after the name, or NULL if the name does not match.
static const char *value_of(mp_obj_t word, const char *name) {
    const char *text = mp_obj_str_get_str(word);
    return strncmp(text, name, strlen(name)) == 0 ? text + strlen(name) : NULL;
}

void ussl_board_boot(void) {
    #if defined(__ARM_ARCH) && __ARM_ARCH == 6
    SCB_CCR |= 8; // unaligned accesses are faults, as on a Cortex-M0+
    #endif
    ussl_board_mount_host();
    #if MICROPY_PY_LWIP
    mod_network_init();
    #endif
    static bool booted; // a soft reset is not a boot
    if (booted) {
        return;
    }
    booted = true;
    size_t count;
    mp_obj_t *words;
    mp_obj_get_array(command_line(), &count, &words);
    if (!count) {
        return;
    }
    const char *address = mp_obj_str_get_str(words[0]) + 3;
    const char *value;
    if (count > 1 && (value = value_of(words[1], "entropy=")) != NULL) {
        ussl_board_use_entropy(value);
        ++words;
        --count;
    }
    if (count > 1 && (value = value_of(words[1], "clock=")) != NULL) {
        long long seconds = 0;
        while (*value) {
            seconds = 10 * seconds + digit(*value++);
        }
        ussl_board_set_clock(seconds);
        ++words;
        --count;
    }
    const bool network = strcmp(address, "off") != 0;
    if (network) {
        start_ticking();
        #if MICROPY_PY_LWIP
        if (!ussl_board_network_start(address)) {
            mp_printf(&mp_plat_print, "network: there is none at ip=%s\n", address);
        }
        #endif
    }
    if (count == 1) {
        return;
    }
    mp_obj_list_init(MP_OBJ_TO_PTR(mp_sys_argv), 0);
    for (size_t i = 1; i < count; ++i) {
        mp_obj_list_append(mp_sys_argv, words[i]);
    }
    const char *program = mp_obj_str_get_str(words[1]);
    size_t folder = strlen(program);
    while (folder && program[folder - 1] != '/') {
        --folder;
    }
    mp_obj_list_store(mp_sys_path, MP_OBJ_NEW_SMALL_INT(0), mp_obj_new_str(program, folder ? folder - 1 : 0));
    const int status = run(program);
    // Runs the finalisers as in a soft reset. Then delivers the data that lwIP has accepted, as a host's kernel does.
    gc_sweep_all();
    #if MICROPY_PY_LWIP
    if (network) {
        ussl_board_network_flush(2000);
    }
    #endif
    leave(status);
}
