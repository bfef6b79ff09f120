// Data for a server with a certificate.

#include "takeover.hpp"

void fuzz::run(Input& input) {
    take_over(input, Role::server, false);
}
