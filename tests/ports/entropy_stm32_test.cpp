// bindings/micropython/entropy_stm32.h with a simulated RNG, which fails as ST's manuals
// describe.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace {

constexpr uint32_t RNG_CR_RNGEN = 4;
constexpr uint32_t RNG_SR_DRDY = 1, RNG_SR_CECS = 2, RNG_SR_SECS = 4, RNG_SR_CEIS = 32,
                   RNG_SR_SEIS = 64;

struct Fake {
    struct Register {
        std::function<uint32_t()> get;
        std::function<void(uint32_t)> set;
        operator uint32_t() { return get(); }
        Register& operator=(uint32_t value) {
            set(value);
            return *this;
        }
        Register& operator&=(uint32_t mask) { return *this = get() & mask; }
    };

    uint32_t control = RNG_CR_RNGEN;
    uint32_t errors = 0;
    bool ready = true;
    bool errors_stay = false;  // after a restart
    uint32_t ticks = 0;
    int starts = 0;
    int reads = 0;
    std::function<uint32_t(int)> number = [](int read) {
        return 0x01010101u * static_cast<uint32_t>(read);
    };

    Register CR{[this] { return control; }, [this](uint32_t value) { control = value; }};
    Register SR{[this] { return (ready ? RNG_SR_DRDY : 0) | errors; },
                [this](uint32_t) {
                    if (!errors_stay)
                        errors = 0;
                }};
    Register DR{[this] { return number(++reads); }, nullptr};
};

Fake* rng;

// The port's.
uint32_t rng_get() {
    ++rng->starts;
    rng->control |= RNG_CR_RNGEN;
    return 0;
}

uint32_t HAL_GetTick() {
    return rng->ticks++;
}

#define RNG rng
#include "../../bindings/micropython/entropy_stm32.h"

struct Stm32Rng : testing::Test {
    Fake fake;
    std::vector<unsigned char> bytes = std::vector<unsigned char>(10);
    Stm32Rng() { rng = &fake; }
    int read() { return ussl_port_entropy(bytes.data(), bytes.size()); }
};

TEST_F(Stm32Rng, FillsAllBytesAndSkipsTheFirstWord) {
    EXPECT_EQ(read(), 0);
    EXPECT_EQ(bytes, (std::vector<unsigned char>{2, 2, 2, 2, 3, 3, 3, 3, 4, 4}));
    EXPECT_EQ(fake.starts, 0);
}

TEST_F(Stm32Rng, StartsAGeneratorThatIsOff) {
    fake.control = 0;
    EXPECT_EQ(read(), 0);
    EXPECT_EQ(fake.starts, 1);
}

TEST_F(Stm32Rng, FailsIfNotReadyInTime) {
    fake.ready = false;
    EXPECT_NE(read(), 0);
    EXPECT_EQ(fake.reads, 0);
    EXPECT_LT(fake.ticks, 30u);
}

TEST_F(Stm32Rng, FailsOnEachErrorBitEvenIfAWordIsReady) {
    for (const uint32_t error : {RNG_SR_CECS, RNG_SR_SECS, RNG_SR_CEIS, RNG_SR_SEIS}) {
        fake.errors = error;
        fake.errors_stay = true;
        EXPECT_NE(read(), 0) << error;
        EXPECT_EQ(fake.reads, 0) << error;
    }
}

TEST_F(Stm32Rng, RestartsAfterAnErrorThatIsOver) {
    fake.errors = RNG_SR_SEIS;
    EXPECT_EQ(read(), 0);
    EXPECT_EQ(fake.starts, 1);
    EXPECT_EQ(bytes[0], 2);
}

TEST_F(Stm32Rng, FailsIfTheErrorComesBetweenTwoWords) {
    fake.errors_stay = true;
    fake.number = [this](int read) {
        if (read == 3)
            fake.errors = RNG_SR_SECS | RNG_SR_SEIS;
        return 0x01010101u * static_cast<uint32_t>(read);
    };
    EXPECT_NE(read(), 0);
}

TEST_F(Stm32Rng, FailsOnZero) {
    fake.number = [](int) { return 0u; };
    EXPECT_NE(read(), 0);
}

TEST_F(Stm32Rng, FailsOnARepeatedWord) {
    fake.number = [](int) { return 0x12345678u; };
    EXPECT_NE(read(), 0);
}

TEST_F(Stm32Rng, TheNextCallStartsAFailedGeneratorAgain) {
    fake.ready = false;
    EXPECT_NE(read(), 0);
    fake.ready = true;
    EXPECT_EQ(read(), 0);
    EXPECT_EQ(bytes[0], 2);
}

}  // namespace
