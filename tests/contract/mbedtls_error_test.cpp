// The errors and alerts for results of Mbed TLS.

#include "mbedtls/error.hpp"

#include <gtest/gtest.h>

namespace {

using ussl::Code;
using ussl::mbedtls::alert_of;
using ussl::mbedtls::code_of;

TEST(MbedErrors, OfTlsHaveTheirOwnRows) {
    EXPECT_EQ(code_of(-0x6E80), Code::NO_SHARED_VERSION);   // SSL_BAD_PROTOCOL_VERSION
    EXPECT_EQ(code_of(-0x6E00), Code::NO_SHARED_CIPHER);    // SSL_HANDSHAKE_FAILURE
    EXPECT_EQ(code_of(-0x7580), Code::NO_SHARED_PROTOCOL);  // SSL_NO_APPLICATION_PROTOCOL
    EXPECT_EQ(code_of(-0x6C80), Code::PSK_IDENTITY);        // SSL_UNKNOWN_IDENTITY
    EXPECT_EQ(code_of(-0x7480), Code::CERT_MISSING);        // SSL_NO_CLIENT_CERTIFICATE
    EXPECT_EQ(code_of(-0x7180), Code::RECORD_CORRUPT);      // SSL_INVALID_MAC
    EXPECT_EQ(code_of(-0x7700), Code::PROTOCOL);            // SSL_UNEXPECTED_MESSAGE
    EXPECT_EQ(code_of(-0x7300), Code::PROTOCOL);            // SSL_DECODE_ERROR
}

TEST(MbedErrors, OfEachModuleWithoutMemoryAreNoMemory) {
    for (const int ret : {-0x7F00, -0x2880, -0x3F80, -0x0010, -0x1180, -0x5180, -0x6180, -0x4D80,
                          -141 /* PSA_ERROR_INSUFFICIENT_MEMORY */})
        EXPECT_EQ(code_of(ret), Code::NO_MEMORY) << ret;
}

TEST(MbedErrors, WithoutACauseInThePeerAreOfTheEngine) {
    // Internal, hardware and counter errors of TLS; corruption; the platform; no entropy.
    for (const int ret : {-0x6C00, -0x7F80, -0x6B80, -0x006E, -0x0072, -0x0070,
                          -148 /* PSA_ERROR_INSUFFICIENT_ENTROPY */})
        EXPECT_EQ(code_of(ret), Code::ENGINE) << ret;
}

TEST(MbedErrors, OfX509AreInvalidCertificatesWithAndWithoutALowLevelCode) {
    constexpr int out_of_data = -0x0060;                          // ASN1_OUT_OF_DATA
    for (const int ret : {-0x2080, -0x2400, -0x2500, -0x3000}) {  // the first and the last module
        EXPECT_EQ(code_of(ret), Code::CERT_INVALID) << ret;
        EXPECT_EQ(code_of(ret + out_of_data), Code::CERT_INVALID) << ret;
    }
    EXPECT_EQ(code_of(-0x2000), Code::PROTOCOL);
    EXPECT_EQ(code_of(-0x3080), Code::PROTOCOL);
    EXPECT_EQ(code_of(out_of_data), Code::PROTOCOL);
}

// RFC 8446 §6.2
TEST(MbedErrors, WithoutAnAlertOfMbedTlsHaveOne) {
    EXPECT_EQ(alert_of(-0x7700, Code::PROTOCOL), 10);           // unexpected_message
    EXPECT_EQ(alert_of(-0x6E80, Code::NO_SHARED_VERSION), 70);  // protocol_version
    EXPECT_EQ(alert_of(-0x6600, Code::PROTOCOL), 47);           // illegal_parameter
    EXPECT_EQ(alert_of(-0x4E00, Code::PROTOCOL), 51);           // decrypt_error: ECP_VERIFY_FAILED
    EXPECT_EQ(alert_of(-0x4380, Code::PROTOCOL), 51);           // decrypt_error: RSA_VERIFY_FAILED
    EXPECT_EQ(alert_of(-0x6C00, Code::ENGINE), 80);             // internal_error
    EXPECT_EQ(alert_of(-0x7F00, Code::NO_MEMORY), 80);          // internal_error
    EXPECT_EQ(alert_of(-0x7300, Code::PROTOCOL), 50);           // decode_error
    // The memory ran out while Mbed TLS reported another error.
    EXPECT_EQ(alert_of(-0x7300, Code::NO_MEMORY), 80);
    EXPECT_EQ(alert_of(-0x7700, Code::NO_MEMORY), 10);
}

}  // namespace
