#pragma once

// Entropy from an STM32's random number generator (RNG), for port.c.

// The port's rng_get() is used only to start the generator and its clock, which differ between the families. Its numbers are
// not used: it does not check the error bits, and returns 0 if the generator is not ready in time.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define USSL_RNG_TIMEOUT_MS (10) // a word takes some microseconds
#define USSL_RNG_ERRORS (RNG_SR_SECS | RNG_SR_CECS | RNG_SR_SEIS | RNG_SR_CEIS)

// Reads one word. Returns false if the generator reports a seed or clock error, is not ready, or repeats a word.
static bool ussl_rng_word(uint32_t *word) {
    const uint32_t previous = *word;
    const uint32_t start = HAL_GetTick();
    for (;;) {
        const uint32_t status = RNG->SR;
        // The SEIS and CEIS bits also report past errors: a word that is ready may be older than the recovery.
        if ((status & USSL_RNG_ERRORS) != 0) {
            return false;
        }
        if ((status & RNG_SR_DRDY) != 0) {
            break;
        }
        if (HAL_GetTick() - start >= USSL_RNG_TIMEOUT_MS) {
            return false;
        }
    }
    // A generator whose seed has just failed reads as 0.
    *word = RNG->DR;
    return *word != 0 && *word != previous;
}

static bool ussl_rng_fill(unsigned char *into, size_t size) {
    if ((RNG->CR & RNG_CR_RNGEN) == 0) {
        (void)rng_get();
    }
    // ST's manuals (following FIPS 140-2): each word is compared with the next one, and the first word is not used.
    uint32_t word = 0;
    if (!ussl_rng_word(&word)) {
        return false;
    }
    while (size != 0) {
        if (!ussl_rng_word(&word)) {
            return false;
        }
        const size_t n = size < sizeof(word) ? size : sizeof(word);
        memcpy(into, &word, n);
        into += n;
        size -= n;
    }
    return true;
}

// Fills `into`. If the generator fails, restarts it once. Returns 0 on success.
int ussl_port_entropy(unsigned char *into, size_t size) {
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (ussl_rng_fill(into, size)) {
            return 0;
        }
        RNG->SR = 0; // clears SEIS and CEIS; the other bits are read-only
        RNG->CR &= ~RNG_CR_RNGEN;
    }
    return -1;
}
