// Data for a server with pre-shared keys, and (by the input's first choice) for such a client.

#include "takeover.hpp"

void fuzz::run(Input& input) {
    const bool client = input.ConsumeBool() && input.ConsumeBool();
    take_over(input, client ? Role::client : Role::server, true);
}
