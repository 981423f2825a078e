// The model of the native engine, driven as its host drives it: inputs of streams with the edge before their cycle.
#pragma once

#include "pins.h"
#include "row.h"

// The inputs that are no streams, as one; its value is the address of a row.
struct OtherInputs {
  static bool set(Vringwalker& model, std::uint64_t row) {
    return row::put_others(model, reinterpret_cast<const std::uint32_t*>(row));
  }
};

class Engine {
 public:
  explicit Engine(const std::uint32_t* row) { step(row); }
  void outputs(std::uint32_t* row) const { row::get(pins_.model(), row); }
  void step(const std::uint32_t* row) {
    row::put(pins_.model(), row);
    pins_.clock(true);
    pins_.drive<OtherInputs>(reinterpret_cast<std::uint64_t>(row));
    pins_.clock(false);
  }

 private:
  VerilatedContext context_{};
  rw::Pins pins_{context_};
};
