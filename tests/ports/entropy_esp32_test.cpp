// bindings/micropython/entropy_esp32.h with a simulated generator.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

#define SOC_WIFI_SUPPORTED 1
#define CONFIG_ESP_WIFI_ENABLED 1
#define SOC_BT_SUPPORTED 1
#define CONFIG_BT_CONTROLLER_ENABLED 1

namespace {

constexpr int ESP_OK = 0, not_started = 1;
constexpr int ESP_BT_CONTROLLER_STATUS_ENABLED = 2;

struct Fake {
    bool wifi = false, bluetooth = false;
    bool adc = false;
    int enabled = 0;
    unsigned waited = 0;        // microseconds, since the last word
    std::uint32_t pseudo = 0;   // words that nothing was fed for
    std::uint32_t hurried = 0;  // words of the ADC that were read too early
};
Fake chip;

int esp_wifi_get_max_tx_power(std::int8_t* power) {
    *power = 80;
    return chip.wifi ? ESP_OK : not_started;
}
int esp_bt_controller_get_status() {
    return chip.bluetooth ? ESP_BT_CONTROLLER_STATUS_ENABLED : 0;
}
void bootloader_random_enable() {
    chip.adc = true;
    ++chip.enabled;
}
void bootloader_random_disable() {
    chip.adc = false;
}
void esp_rom_delay_us(unsigned time) {
    chip.waited += time;
}
std::uint32_t esp_random() {
    const bool radio = chip.wifi || chip.bluetooth;
    chip.pseudo += !radio && !chip.adc;
    chip.hurried += !radio && chip.waited < 64;
    chip.waited = 0;
    return 0xA5A5A5A5;
}
void esp_fill_random(void* into, std::size_t size) {
    chip.pseudo += !chip.wifi && !chip.bluetooth;
    std::memset(into, 0xA5, size);
}

#include "../../bindings/micropython/entropy_esp32.h"

class EntropyEsp32 : public testing::Test {
  protected:
    void SetUp() override { chip = {}; }
    static void expect_filled() {
        for (const std::size_t size :
             {std::size_t{1}, std::size_t{4}, std::size_t{128}, std::size_t{47}}) {
            unsigned char bytes[129] = {};
            ASSERT_EQ(ussl_port_entropy(bytes, size), 0);
            for (std::size_t i = 0; i < sizeof bytes; ++i)
                EXPECT_EQ(bytes[i], i < size ? 0xA5 : 0) << i << " of " << size;
        }
        EXPECT_EQ(chip.pseudo, 0u);
        EXPECT_FALSE(chip.adc);
    }
};

TEST_F(EntropyEsp32, WithWifiTheAdcIsLeftAlone) {
    chip.wifi = true;
    expect_filled();
    EXPECT_EQ(chip.enabled, 0);
}

TEST_F(EntropyEsp32, WithBluetoothTheAdcIsLeftAlone) {
    chip.bluetooth = true;
    expect_filled();
    EXPECT_EQ(chip.enabled, 0);
}

TEST_F(EntropyEsp32, WithoutARadioTheAdcFeedsTheGenerator) {
    expect_filled();
    EXPECT_EQ(chip.enabled, 4);
    EXPECT_EQ(chip.hurried, 0u);
}

}  // namespace
