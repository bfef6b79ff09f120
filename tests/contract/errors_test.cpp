// Texts and numbers of the error table.

#include "contract.hpp"
#include "failed_certificate.hpp"
#include "policy/alerts.hpp"
#include "policy/certificates.hpp"

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
    EXPECT_EQ(describe(error),
              "HANDSHAKE_FAILED: the peer rejected the handshake (if it has only CBC or RSA key "
              "exchange, "
              "name its cipher suites with set_ciphers) (alert received: handshake_failure)");
    error.alert_number = 255;
    EXPECT_TRUE(describe(error).ends_with("(alert received: unknown)"));
}

TEST(Errors, TheLongestTextFits) {
    Error error;
    error.code = Code::CERT_BAD_SIGNATURE;
    error.certificate_failures = 0x7FFF;
    error.alert = Error::Alert::sent;
    error.alert_number = 113;
    const std::string certificate(ussl::max_certificate_description, 'x');
    char text[ussl::max_description];
    const std::string_view description{text, ussl::describe(error, text, certificate)};
    EXPECT_LT(description.size(), ussl::max_description);
    EXPECT_TRUE(description.ends_with("xxx) (alert sent: bad_certificate_status_response)"));
    char small[10];
    EXPECT_EQ(ussl::describe(error, small), 10U);
}

// --- the certificate that an error names

std::string der(int tag, std::string_view content) {
    std::string made(1, static_cast<char>(tag));
    if (content.size() >= 0x80)
        made += "\x82" + std::string(1, static_cast<char>(content.size() >> 8));
    return made + static_cast<char>(content.size()) + std::string(content);
}
std::string attribute(std::string_view oid, int type, std::string_view value) {
    return der(0x30, der(6, oid) + der(type, value));
}
constexpr std::string_view common_name = "\x55\x04\x03";
constexpr int utf8_string = 12, printable_string = 19, bmp_string = 30;

std::string described(const std::string& subject, std::optional<std::int64_t> clock = {}) {
    ussl::FailedCertificate failed;
    failed.keep({.subject = bytes(subject),
                 .issuer = bytes(std::string_view("\x30\x00", 2)),
                 .not_before = {1950, 1, 2, 3, 4, 5},
                 .not_after = {9999, 12, 31, 23, 59, 59},
                 .clock = clock});
    return std::string(failed.text());
}

TEST(FailedCertificate, IsDescribedByItsNamesAndDates) {
    const std::string names = der(0x31, attribute("\x55\x04\x06", printable_string, "DE")) +
                              der(0x31, attribute(common_name, utf8_string, "sensor") +
                                            attribute("\x2A\x83\x74\x05", utf8_string, "7"));
    EXPECT_EQ(described(der(0x30, names), 0),
              R"(subject "CN=sensor+1.2.500.5=7,C=DE", issuer "", valid 1950-01-02T03:04:05Z to )"
              "9999-12-31T23:59:59Z, clock 1970-01-01T00:00:00Z");
    EXPECT_TRUE(described(der(0x30, names), 951827696).ends_with(", clock 2000-02-29T12:34:56Z"));
    EXPECT_TRUE(described(der(0x30, names), INT64_MAX).ends_with(", clock 9999-12-31T23:59:59Z"));
    EXPECT_TRUE(described(der(0x30, names), INT64_MIN).ends_with(", clock 0000-01-01T00:00:00Z"));
}

TEST(FailedCertificate, HasNoBytesThatATerminalObeys) {
    const auto name = [](int type, std::string_view value) {
        const std::string text =
            described(der(0x30, der(0x31, attribute(common_name, type, value))));
        const std::size_t begin = std::string_view("subject \"CN=").size();
        return text.substr(begin, text.find("\", issuer") - begin);
    };
    EXPECT_EQ(name(utf8_string, "a\x1B[2J\r\n\x7F\xC3\xBC"), R"(a\x1b[2J\x0d\x0a\x7f\xc3\xbc)");
    EXPECT_EQ(name(utf8_string, "x\", issuer \"CN=bank,O=b+c;<>\\"),
              R"(x\"\, issuer \"CN=bank\,O=b\+c\;\<\>\\)");
    EXPECT_EQ(name(bmp_string, std::string_view("\0A\x20\x2E\0\x1B\0", 7)),
              R"(A\x20\x2e\x00\x1b\x00)");
}

TEST(FailedCertificate, IsDescribedWithinBounds) {
    std::string names;
    for (int i = 0; i < 3; ++i)
        names += der(0x31, attribute(common_name, utf8_string, std::string(90, '\x01')));
    const std::string text = described(der(0x30, names), 0);
    EXPECT_TRUE(text.starts_with(R"(subject "CN=\x01\x01)")) << text;
    EXPECT_NE(text.find(R"(\x01...", issuer "")"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("1970-01-01T00:00:00Z")) << text;
    EXPECT_LE(text.size(), ussl::max_certificate_description);
    ussl::FailedCertificate longest;
    const std::string both = der(0x30, names);
    longest.keep({bytes(both), bytes(both), {1950, 1, 1, 0, 0, 0}, {9999, 1, 1, 0, 0, 0}, 0});
    EXPECT_TRUE(longest.text().ends_with("clock 1970-01-01T00:00:00Z")) << longest.text();
    // The engines parse names before; a malformed rest ends them.
    for (std::size_t size = 0; size < both.size(); ++size)
        EXPECT_LE(described(both.substr(0, size)).size(), ussl::max_certificate_description);
}

TEST(FailedCertificate, IsTheOneWithTheWorstFailureNearestToThePeer) {
    using ussl::policy::failure_bit;
    const int leaf = 0, middle = 1, root = 2;
    ussl::Failures<const int> found;
    EXPECT_EQ(found.worst(), nullptr);
    found.add(0, &root, 2);
    EXPECT_EQ(found.worst(), nullptr);
    found.add(failure_bit(Code::CERT_EXPIRED), &root, 2);
    found.add(failure_bit(Code::CERT_EXPIRED) | failure_bit(Code::CERT_CRL), &middle, 1);
    EXPECT_EQ(found.worst(), &middle);
    found.add(failure_bit(Code::CERT_CRL), &leaf, 0);
    EXPECT_EQ(found.worst(), &middle);
    found.add(failure_bit(Code::CERT_REVOKED), &root, 2);
    EXPECT_EQ(found.worst(), &root);
    EXPECT_EQ(found.all(), failure_bit(Code::CERT_EXPIRED) | failure_bit(Code::CERT_CRL) |
                               failure_bit(Code::CERT_REVOKED));
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
#include "ussl/errors.def"
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
