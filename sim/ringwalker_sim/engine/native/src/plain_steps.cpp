// The steps of a model that has no chunks, until those of another library take over.
#include "model_steps.h"

namespace rw {

void rising_edge(Root* root);

struct Chunks {
  const Steps* steps = nullptr;
  Chunks* adopted = nullptr;
};

Chunks* make_chunks() { return new Chunks(); }

void drop_chunks(Chunks* chunks) {
  if (chunks->steps != nullptr) chunks->steps->drop(chunks->adopted);
  delete chunks;
}

void run_all(Chunks* chunks) {
  if (chunks->steps != nullptr) chunks->steps->run_all(chunks->adopted);
}

void step(Root* root, Chunks* chunks) {
  if (chunks->steps != nullptr) return chunks->steps->step(root, chunks->adopted);
  rising_edge(root);
}

}  // namespace rw

// From now on these steps are made, once. They are of a library that stays loaded, with the same model.
extern "C" void rw_adopt(rw::Chunks* chunks, const rw::Steps* steps) noexcept {
  chunks->adopted = steps->make();
  chunks->steps = steps;
  steps->run_all(chunks->adopted);
}
