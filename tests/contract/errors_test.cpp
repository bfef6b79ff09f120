// Texts and numbers of the error table.

#include "contract.hpp"
#include "policy.hpp"

namespace contract {
namespace {

TEST(Errors, HaveNamesNumbersAndTexts) {
    EXPECT_EQ(ussl::name_of(Code::CERT_EXPIRED), "CERT_EXPIRED");
    EXPECT_EQ(static_cast<int>(Code::CERT_EXPIRED), 209);
    EXPECT_EQ(ussl::class_of(Code::CERT_EXPIRED), ussl::ErrorClass::certificate);
    EXPECT_EQ(ussl::class_of(Code::stream), ussl::ErrorClass::stream);
    EXPECT_TRUE(ussl::name_of(Code::none).empty());
    EXPECT_TRUE(ussl::text_of(Code::stream).empty());
    Error error;
    EXPECT_FALSE(error);
    EXPECT_EQ(describe(error), "");
    error.code = Code::CERT_EXPIRED;
    EXPECT_EQ(error.number(), -209);
    error.code = Code::stream;
    error.detail = 104;
    EXPECT_EQ(error.number(), 104);
}

TEST(Errors, TextsNameTheAlertAndTheEnginesCode) {
    Error error;
    error.code = Code::ENGINE;
    error.detail = 0x0a00012f;
    EXPECT_EQ(describe(error), "ENGINE: the TLS engine failed (engine code 0x0a00012f)");
    error.code = Code::HANDSHAKE_FAILED;
    error.alert = Error::Alert::received;
    error.alert_number = 40;
    EXPECT_EQ(
        describe(error),
        "HANDSHAKE_FAILED: the peer refused the handshake (if it has only CBC or RSA key exchange, "
        "name its cipher suites with set_ciphers) (alert received: handshake_failure)");
    error.alert_number = 255;
    EXPECT_TRUE(describe(error).ends_with("(alert received: unknown)"));
}

TEST(Errors, TheLongestTextFits) {
    Error error;
    error.code = Code::CERT_BAD_SIGNATURE;
    error.certificate_failures = 0x7FF;
    error.alert = Error::Alert::sent;
    error.alert_number = 113;
    EXPECT_LT(describe(error).size(), ussl::max_description);
    EXPECT_TRUE(describe(error).ends_with("(alert sent: bad_certificate_status_response)"));
    char small[10];
    EXPECT_EQ(ussl::describe(error, small), 10U);
}

TEST(Errors, EveryAlertHasItsName) {
    int named = 0;
    for (int number = 0; number < 256; ++number)
        named += ussl::alert_name(static_cast<std::uint8_t>(number)) != "unknown" ? 1 : 0;
    EXPECT_EQ(named, 30);
}

TEST(Errors, EveryAlertThatComesInHasItsRow) {
    using ussl::policy::code_of_alert;
    const std::map<int, Code> rows = {
        {42, Code::CERT_REFUSED},       {43, Code::CERT_REFUSED},  {44, Code::CERT_REFUSED},
        {45, Code::CERT_REFUSED},       {46, Code::CERT_REFUSED},  {48, Code::CERT_REFUSED},
        {49, Code::CERT_REFUSED},       {116, Code::CERT_REFUSED}, {70, Code::NO_SHARED_VERSION},
        {71, Code::NO_SHARED_CIPHER},   {112, Code::UNKNOWN_NAME}, {115, Code::PSK_REFUSED},
        {120, Code::NO_SHARED_PROTOCOL}};
    const std::set<int> of_a_key = {20, 21, 40, 47, 51, 109};
    for (int number = 0; number < 256; ++number) {
        const auto alert = static_cast<std::uint8_t>(number);
        const auto row = rows.find(number);
        for (const bool psk : {false, true}) {
            const Code handshake =
                psk && of_a_key.contains(number) ? Code::PSK_REFUSED : Code::HANDSHAKE_FAILED;
            EXPECT_EQ(code_of_alert(alert, true, psk), row != rows.end() ? row->second : handshake)
                << number;
            EXPECT_EQ(code_of_alert(alert, false, psk),
                      row != rows.end() ? row->second : Code::ALERT)
                << number;
        }
    }
}

// --- every row of the error table is provoked by a test, or has its reason here

const std::map<Code, const char*> not_provoked = {
    {Code::NO_MEMORY, "needs an allocation to fail: tests/faults sees to that"},
    {Code::BAD_USE, "no error of a connection but Progress::misuse (see stream_test); a binding's"},
    {Code::CERT_CHAIN_TOO_LONG, "no engine sends such a chain: tests/corpus"},
    {Code::KEY_SLOTS, "only with a port's Mbed TLS: tests/mcu/key_slots.py"},
    {Code::PSK_INVALID, "raised by the binding only: tests/micropython/test_context.py"},
};

class EveryRow : public testing::Environment {
  public:
    void TearDown() override {
        if (testing::GTEST_FLAG(filter) != "*")
            return;  // not all tests have run
        for (const Code code : {
#define USSL_ERROR(name, number, error_class, text) Code::name,
#include "errors.def"
#undef USSL_ERROR
             }) {
            const bool excused = not_provoked.contains(code);
            EXPECT_TRUE(excused || seen().contains(code))
                << ussl::name_of(code) << " was provoked by no test";
            EXPECT_FALSE(excused && seen().contains(code))
                << ussl::name_of(code) << " was provoked after all; it needs no reason";
        }
    }
};

testing::Environment* const every_row = testing::AddGlobalTestEnvironment(new EveryRow);

}  // namespace
}  // namespace contract
