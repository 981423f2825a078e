// The steps of a model that has no chunks.
#include "model_steps.h"

namespace rw {

void rising_edge(Root* root);

Chunks* make_chunks() { return nullptr; }
void drop_chunks(Chunks*) {}
void run_all(Chunks*) {}
void step(Root* root, Chunks*) { rising_edge(root); }

}  // namespace rw
