// The Verilated model behind the classes of ports.h: its clock, and what is driven into it.
#pragma once

#include <memory>

#include "model_steps.h"
#include "ports.h"
#include "verilated.h"

namespace rw {

// Read by the generated code (translate.py puts it there): whether combinational logic behind the inputs must
// be computed in the coming evaluation. Always safe to leave true.
extern thread_local bool inputs_changed;

// In the generated code (translate.py puts it there, where RW_EDGE is 1): what a rising edge of the clock does.
void rising_edge(Root* root);

class Pins {
 public:
  explicit Pins(VerilatedContext& context) : model_(std::make_unique<Vringwalker>(&context, "")) {
    port::initial_inputs(*model_);
  }
  ~Pins() {
    model_->final();
#if RW_CHANGES
    drop_chunks(chunks_);
#endif
  }
  Pins(const Pins&) = delete;
  Pins& operator=(const Pins&) = delete;

  Vringwalker& model() { return *model_; }
  const Vringwalker& model() const { return *model_; }

  // The reset and what is driven into streams reach the device with the rising edge (translate.py puts registers
  // there), so nothing has to settle before it. The few other inputs change only while the clock is low.
  void clock(bool level) {
#if RW_CHANGES
    if (level) return step(model_->rootp, chunks_);
    if (!changed_) return;
    run_all(chunks_);
    ++evaluations_;
#elif RW_EDGE
    if (level) return rising_edge(model_->rootp);
    if (!changed_) return;
#else
    model_->clk = level;
#endif
    inputs_changed = changed_ && !level;
    changed_ = changed_ && level;
    model_->eval();
  }
  void reset(bool level) { model_->rst_next = level; }

#if RW_CHANGES
  const Root* root() const { return model_->rootp; }

  Chunks* chunks() { return chunks_; }

  // How often everything was computed, because of an input that has no register.
  std::uint64_t evaluations() const { return evaluations_; }
#endif

  bool intx() const { return port::intx::get(*model_); }
  bool idle() const { return port::idle::get(*model_); }

  // Drives an input that is no stream, behind which logic has to settle: with clock(false) at the latest.
  template <class Input>
  void drive(std::uint64_t value) {
    changed_ = Input::set(*model_, value) || changed_;
  }

 private:
  std::unique_ptr<Vringwalker> model_;
  bool changed_ = true;
#if RW_CHANGES
  Chunks* chunks_ = make_chunks();
  std::uint64_t evaluations_ = 0;
#endif
};

}  // namespace rw
