// A model as Yosys writes it (CXXRTL).
#pragma once

#include <cxxrtl/cxxrtl.h>

#include "device.cc"
#include "row.h"

class Engine {
 public:
  explicit Engine(const std::uint32_t* row) {
    row::put(model_, row);
    model_.step();
  }
  void outputs(std::uint32_t* row) const { row::get(model_, row); }
  void step(const std::uint32_t* row) {
    model_.p_clk.set<bool>(true);
    model_.step();
    row::put(model_, row);
    model_.p_clk.set<bool>(false);
    model_.step();
  }

 private:
  cxxrtl_design::p_ringwalker model_{};
};
