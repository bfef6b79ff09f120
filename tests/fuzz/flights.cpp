// The same changes to the same records: the results of each engine.

#include "difference.hpp"

void fuzz::run(Input& input) {
    const Scene scene(input);
    const Editor editor(input);
    std::string verdicts[2];
    bool changed[2] = {};
    for (std::size_t i = 0; i < 2; ++i) {
        Editor changes = editor;
        std::size_t edited = 0;
        verdicts[i] = scene.verdict(engines[i], [&](Ring& ring, bool before) {
            if (before)
                edited = ring.bytes.size();
            else
                changes.records(ring, edited);
        });
        changed[i] = changes.changed();
    }
    // The row for a damaged record depends on how far an engine has read, and later records depend
    // on its messages. Therefore only the opening of the connection is compared.
    for (std::string& verdict : verdicts)
        verdict = verdict == "open" ? "open" : "not open";
    // A record that is shorter with one engine may not have the place to change.
    if (changed[0] != changed[1])
        return;
    expect_same("records to a " + scene.where, verdicts[0], verdicts[1]);
}
