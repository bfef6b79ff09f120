// What may come to a server of pre-shared keys, and (by the input's first choice) to such a client.

#include "takeover.hpp"

void fuzz::run(Input& input) {
    const bool client = input.ConsumeBool() && input.ConsumeBool();
    take_over(input, client ? Role::client : Role::server, true);
}
