// A driver for the board's Ethernet controller (Microchip LAN9118), lwIP's interface over it, and that interface as
// network.LAN. Names and numbers are those of the datasheet.
//
// The controller is polled each millisecond and when the program waits (boot.c), by the scheduler or by a wait, and
// never by an interrupt. Therefore lwIP never interrupts itself, and needs no locks.

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"

#if MICROPY_PY_LWIP

#include <string.h>

#include "extmod/modnetwork.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

#include "board.h"
#include "semihosting.h"

// --- the controller

enum {
    RX_DATA_FIFO = 0x00,
    TX_DATA_FIFO = 0x20,
    RX_STATUS_FIFO = 0x40,
    TX_STATUS_FIFO = 0x48,
    BYTE_TEST = 0x64,
    TX_CFG = 0x70,
    HW_CFG = 0x74,
    RX_FIFO_INF = 0x7c,
    TX_FIFO_INF = 0x80,
    MAC_CSR_CMD = 0xa4,
    MAC_CSR_DATA = 0xa8,
};
// Registers that are accessed through MAC_CSR_CMD.
enum { MAC_CR = 1, ADDRH = 2, ADDRL = 3 };

#define HW_CFG_SRST (1u << 0)
#define HW_CFG_MBO (1u << 20)
#define HW_CFG_TX_FIF_SZ (5u << 16) // the reset value: 5 KB to send, 10.5 KB to receive
#define TX_CFG_TX_ON (1u << 1)
#define MAC_CSR_BUSY (1u << 31)
#define MAC_CSR_READ (1u << 30)
#define MAC_CR_FDPX (1u << 20)
#define MAC_CR_MCPAS (1u << 19)
#define MAC_CR_TXEN (1u << 3)
#define MAC_CR_RXEN (1u << 2)
#define TX_A_FIRST (1u << 13)
#define TX_A_LAST (1u << 12)
#define RX_STATUS_ERROR (1u << 15)

#define FRAME 1514 // bytes, without the checksum
#define CHECKSUM 4

static volatile uint32_t *reg(uint32_t offset) {
    return (volatile uint32_t *)(0x40200000 + offset);
}

static uint32_t mac_command(uint32_t command) {
    *reg(MAC_CSR_CMD) = MAC_CSR_BUSY | command;
    while (*reg(MAC_CSR_CMD) & MAC_CSR_BUSY) {
    }
    return *reg(MAC_CSR_DATA);
}

static bool controller_start(uint8_t address[6]) {
    if (*reg(BYTE_TEST) != 0x87654321) {
        return false;
    }
    *reg(HW_CFG) = HW_CFG_SRST;
    while (*reg(HW_CFG) & HW_CFG_SRST) {
    }
    *reg(HW_CFG) = HW_CFG_MBO | HW_CFG_TX_FIF_SZ;
    const uint32_t low = mac_command(MAC_CSR_READ | ADDRL);
    const uint32_t high = mac_command(MAC_CSR_READ | ADDRH);
    for (int i = 0; i < 6; ++i) {
        address[i] = i < 4 ? low >> 8 * i : high >> 8 * (i - 4);
    }
    *reg(MAC_CSR_DATA) = MAC_CR_FDPX | MAC_CR_MCPAS | MAC_CR_TXEN | MAC_CR_RXEN;
    mac_command(MAC_CR);
    *reg(TX_CFG) = TX_CFG_TX_ON;
    return true;
}

// The FIFOs consist of words.
static uint32_t frame[(FRAME + CHECKSUM + 3) / 4];

static err_t send_frame(struct netif *netif, struct pbuf *p) {
    (void)netif;
    if (p->tot_len > FRAME || (*reg(TX_FIFO_INF) & 0xffff) < p->tot_len + 16u) {
        return ERR_BUF;
    }
    // Discards the statuses of earlier frames, so that the FIFO does not fill up.
    while (*reg(TX_FIFO_INF) >> 16 & 0xff) {
        (void)*reg(TX_STATUS_FIFO);
    }
    pbuf_copy_partial(p, frame, p->tot_len, 0);
    *reg(TX_DATA_FIFO) = TX_A_FIRST | TX_A_LAST | p->tot_len;
    *reg(TX_DATA_FIFO) = p->tot_len;
    for (uint32_t i = 0; i < (p->tot_len + 3u) / 4; ++i) {
        *reg(TX_DATA_FIFO) = frame[i];
    }
    return ERR_OK;
}

// Returns false if there is no frame. A frame for which lwIP has no memory is lost, as on other boards.
static bool receive_frame(struct netif *netif) {
    if (!(*reg(RX_FIFO_INF) >> 16 & 0xff)) {
        return false;
    }
    const uint32_t status = *reg(RX_STATUS_FIFO);
    const uint32_t length = status >> 16 & 0x3fff;
    for (uint32_t i = 0; i < (length + 3) / 4; ++i) {
        const uint32_t word = *reg(RX_DATA_FIFO);
        if (i < MP_ARRAY_SIZE(frame)) {
            frame[i] = word;
        }
    }
    if (status & RX_STATUS_ERROR || length < CHECKSUM || length > FRAME + CHECKSUM) {
        return true;
    }
    struct pbuf *p = pbuf_alloc(PBUF_RAW, length - CHECKSUM, PBUF_POOL);
    if (p) {
        pbuf_take(p, frame, p->tot_len);
        if (netif->input(p, netif) != ERR_OK) {
            pbuf_free(p);
        }
    }
    return true;
}

// --- lwIP

static struct netif lan;

// The port is built without a C library. lwIP parses numbers of interfaces with this function.
int atoi(const char *text);
int atoi(const char *text) {
    int number = 0;
    while (*text >= '0' && *text <= '9') {
        number = number * 10 + *text++ - '0';
    }
    return number;
}

u32_t sys_now(void) {
    return mp_hal_ticks_ms();
}

uint32_t ussl_board_random(void) {
    // Marsaglia's xorshift32, seeded by the host, for ports and initial sequence numbers.
    static uint32_t state;
    while (!state) {
        int ussl_port_entropy(unsigned char *into, size_t size);
        ussl_port_entropy((unsigned char *)&state, sizeof(state));
    }
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static err_t lan_init(struct netif *netif) {
    if (!controller_start(netif->hwaddr)) {
        return ERR_IF;
    }
    netif->name[0] = 'e';
    netif->name[1] = '0';
    netif->hostname = mod_network_hostname_data;
    netif->hwaddr_len = 6;
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = send_frame;
    NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_ENABLE_ALL);
    return ERR_OK;
}

bool ussl_board_network_start(const char *address) {
    ip4_addr_t ip = { 0 }, mask = { 0 };
    const bool dhcp = strcmp(address, "dhcp") == 0;
    if (!dhcp) {
        if (!ip4addr_aton(address, &ip)) {
            return false;
        }
        IP4_ADDR(&mask, 255, 255, 255, 0);
    }
    lwip_init();
    if (!netif_add(&lan, &ip, &mask, NULL, NULL, lan_init, ethernet_input)) {
        return false;
    }
    netif_create_ip6_linklocal_address(&lan, 1);
    lan.ip6_autoconfig_enabled = 1;
    netif_set_default(&lan);
    netif_set_link_up(&lan);
    netif_set_up(&lan);
    if (!dhcp) {
        return true;
    }
    dhcp_start(&lan);
    for (const uint32_t begin = sys_now(); !dhcp_supplied_address(&lan);) {
        if (sys_now() - begin > 10000) {
            return false;
        }
        ussl_board_network_poll();
    }
    return true;
}

void ussl_board_network_poll(void) {
    while (receive_frame(&lan)) {
    }
    sys_check_timeouts();
}

static bool all_acknowledged(void) {
    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        if (pcb->unsent || pcb->unacked) {
            return false;
        }
    }
    return true;
}

void ussl_board_network_flush(unsigned milliseconds) {
    for (const uint32_t begin = sys_now(); !all_acknowledged() && sys_now() - begin < milliseconds;) {
        mp_event_wait_ms(1);
    }
}

// --- network.LAN

static const mp_obj_base_t lan_object = { &ussl_board_lan_type };

static mp_obj_t lan_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type, (void)args;
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    if (!lan.input) {
        mp_raise_OSError(MP_ENODEV); // QEMU has no network
    }
    return MP_OBJ_FROM_PTR(&lan_object);
}

static mp_obj_t lan_active(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1) {
        return mp_obj_new_bool(netif_is_up(&lan));
    }
    (mp_obj_is_true(args[1]) ? netif_set_up : netif_set_down)(&lan);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lan_active_obj, 1, 2, lan_active);

static mp_obj_t lan_isconnected(mp_obj_t self) {
    (void)self;
    return mp_obj_new_bool(netif_is_up(&lan) && netif_is_link_up(&lan) && !ip4_addr_isany(netif_ip4_addr(&lan)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(lan_isconnected_obj, lan_isconnected);

static mp_obj_t lan_ifconfig(size_t n_args, const mp_obj_t *args) {
    return mod_network_nic_ifconfig(&lan, n_args - 1, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lan_ifconfig_obj, 1, 2, lan_ifconfig);

static mp_obj_t lan_ipconfig(size_t n_args, const mp_obj_t *args, mp_map_t *keywords) {
    return mod_network_nic_ipconfig(&lan, n_args - 1, args + 1, keywords);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(lan_ipconfig_obj, 1, lan_ipconfig);

static const mp_rom_map_elem_t lan_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_active), MP_ROM_PTR(&lan_active_obj) },
    { MP_ROM_QSTR(MP_QSTR_isconnected), MP_ROM_PTR(&lan_isconnected_obj) },
    { MP_ROM_QSTR(MP_QSTR_ifconfig), MP_ROM_PTR(&lan_ifconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_ipconfig), MP_ROM_PTR(&lan_ipconfig_obj) },
};
static MP_DEFINE_CONST_DICT(lan_locals, lan_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(ussl_board_lan_type, MP_QSTR_LAN, MP_TYPE_FLAG_NONE,
    make_new, lan_make_new, locals_dict, &lan_locals);

#endif
