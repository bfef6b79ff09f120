#pragma once

// Entropy from an ESP32's random number generator, for port.c, which includes the headers of ESP-IDF.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The generator produces true random numbers only while a radio or the ADC feeds noise into it. Otherwise they are
// pseudo-random (ESP-IDF Programming Guide, "Random Number Generation").
static bool ussl_radio_is_on(void) {
    #if SOC_WIFI_SUPPORTED && CONFIG_ESP_WIFI_ENABLED
    int8_t power;
    if (esp_wifi_get_max_tx_power(&power) == ESP_OK) { // an error unless Wi-Fi was started
        return true;
    }
    #endif
    #if SOC_BT_SUPPORTED && CONFIG_BT_CONTROLLER_ENABLED
    if (esp_bt_controller_get_status() == ESP_BT_CONTROLLER_STATUS_ENABLED) {
        return true;
    }
    #endif
    return false;
}

// Without a radio, the ADC feeds the generator during this call. This resets the ADC, and on the ESP32 also I2S0
// (docs/porting/esp32.md).
int ussl_port_entropy(unsigned char *into, size_t size) {
    if (ussl_radio_is_on()) {
        esp_fill_random(into, size);
        return 0;
    }
    bootloader_random_enable();
    while (size != 0) {
        // The same wait for a word as in ESP-IDF's bootloader: the ADC gives one bit in 40 cycles of 80 MHz.
        esp_rom_delay_us(64);
        const uint32_t word = esp_random();
        const size_t n = size < sizeof(word) ? size : sizeof(word);
        memcpy(into, &word, n);
        into += n;
        size -= n;
    }
    bootloader_random_disable();
    return 0;
}
