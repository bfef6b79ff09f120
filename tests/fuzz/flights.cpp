// The same changes to the same records: what each engine comes to.

#include "difference.hpp"

void fuzz::run(Input& input) {
    const Scene scene(input);
    const Editor editor(input);
    std::string verdicts[2];
    for (std::size_t i = 0; i < 2; ++i) {
        Editor changes = editor;
        std::size_t edited = 0;
        verdicts[i] = scene.verdict(engines[i], [&](Ring& ring, bool before) {
            if (before)
                edited = ring.bytes.size();
            else
                changes.records(ring, edited);
        });
    }
    expect_same("records to a " + scene.where, verdicts[0], verdicts[1]);
}
