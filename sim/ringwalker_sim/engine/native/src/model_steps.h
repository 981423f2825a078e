// What a change-driven model has beside Verilator's own functions; the generated code defines it
// (engine/native/changes). Until there are chunks, plain_steps.cpp does, with the plain model.
#pragma once

#include <cstddef>

class Vringwalker___024root;

namespace rw {

using Root = Vringwalker___024root;

// Which chunks have to run, and the inputs at the last edge.
struct Chunks;
Chunks* make_chunks();
void drop_chunks(Chunks* chunks);

// All chunks have to run at the next edge: something else has changed the model.
void run_all(Chunks* chunks);

// A rising edge of the clock.
void step(Root* root, Chunks* chunks);

// These four functions, for another library with the same model to use.
struct Steps {
  Chunks* (*make)();
  void (*drop)(Chunks*);
  void (*run_all)(Chunks*);
  void (*step)(Root*, Chunks*);
};

// The variables that the clocked code uses.
struct Signal {
  const char* name;
  std::size_t offset;
  std::size_t size;
};
extern const Signal signals[];
extern const std::size_t signal_count;
extern const std::size_t root_bytes;

void copy_inputs(const Root& from, Root& to);

}  // namespace rw
