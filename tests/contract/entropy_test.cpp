// The allowed results of a board's source of entropy.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "../../src/entropy.hpp"

namespace contract {
namespace {

using ussl::EntropySource;

std::mt19937 good_source{1};
std::size_t calls;
std::size_t period;  // of repeats(), in bytes

void fill(unsigned char* into, std::size_t size) {
    std::generate_n(into, size, [] { return static_cast<unsigned char>(good_source()); });
}

int works(unsigned char* into, std::size_t size) {
    ++calls;
    fill(into, size);
    return 0;
}

int returns_zeros(unsigned char* into, std::size_t size) {
    std::fill_n(into, size, static_cast<unsigned char>(0));
    return 0;
}

int is_stuck(unsigned char* into, std::size_t size) {
    std::fill_n(into, size, static_cast<unsigned char>(0xA5));
    return 0;
}

int repeats(unsigned char* into, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i, ++calls)
        into[i] = static_cast<unsigned char>(calls % period * 89 + 7);
    return 0;
}

// Not ready at first.
int is_slow(unsigned char* into, std::size_t size) {
    fill(into, size);
    return ++calls <= 2 ? -1 : 0;
}

// After the first call, half of the requested values are unchanged.
int stops(unsigned char* into, std::size_t size) {
    fill(into, ++calls == 1 ? size : size / 2);
    return 0;
}

using Seed = std::array<unsigned char, 48>;

bool reads(EntropySource& source, Seed& seed) {
    return source.read(seed.data(), seed.size());
}

class Entropy : public ::testing::Test {
  protected:
    void SetUp() override { calls = 0; }
    static bool is_wiped(const Seed& seed) {
        return std::ranges::all_of(seed, [](unsigned char byte) { return byte == 0; });
    }
};

TEST_F(Entropy, OfAWorkingSourceIsReturned) {
    EntropySource source{works};
    Seed one = {};
    Seed other = {};
    EXPECT_TRUE(reads(source, one));
    EXPECT_TRUE(reads(source, other));
    EXPECT_FALSE(is_wiped(one));
    EXPECT_NE(one, other);
    EXPECT_EQ(calls, 3U);  // one for the values that are tested and discarded
}

TEST_F(Entropy, OfAWorkingSourceDoesNotEnd) {
    EntropySource source{works};
    Seed seed;
    for (int i = 0; i < 100'000; ++i)
        ASSERT_TRUE(reads(source, seed)) << i;
}

TEST_F(Entropy, ZerosFail) {
    EntropySource source{returns_zeros};
    Seed seed = {1};
    EXPECT_FALSE(reads(source, seed));
    EXPECT_FALSE(reads(source, seed));
    EXPECT_TRUE(is_wiped(seed));
}

TEST_F(Entropy, AStuckSourceFails) {
    EntropySource source{is_stuck};
    Seed seed = {1};
    EXPECT_FALSE(reads(source, seed));
    EXPECT_TRUE(is_wiped(seed));
}

TEST_F(Entropy, ARepeatingSourceFails) {
    for (period = 4; period <= std::size_t{15} * 4; period += 4) {
        EntropySource source{repeats};
        Seed seed = {1};
        EXPECT_FALSE(reads(source, seed)) << period;
        EXPECT_TRUE(is_wiped(seed));
    }
}

TEST_F(Entropy, ASlowSourceFailsUntilItIsReady) {
    EntropySource source{is_slow};
    Seed seed = {1};
    EXPECT_FALSE(reads(source, seed));
    EXPECT_FALSE(reads(source, seed));
    EXPECT_TRUE(is_wiped(seed));
    EXPECT_TRUE(reads(source, seed));
    EXPECT_FALSE(is_wiped(seed));
}

TEST_F(Entropy, ASourceThatStopsFails) {
    EntropySource source{stops};
    Seed seed = {};
    EXPECT_FALSE(reads(source, seed));
    EXPECT_TRUE(is_wiped(seed));
}

}  // namespace
}  // namespace contract
