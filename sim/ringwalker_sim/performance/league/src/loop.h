// A model as Verilator makes it, evaluated at both edges of the clock.
#pragma once

#include <memory>

#include "Vringwalker.h"
#include "row.h"
#include "verilated.h"

class Engine {
 public:
  explicit Engine(const std::uint32_t* row) {
    context_.threads(LEAGUE_THREADS);
    model_ = std::make_unique<Vringwalker>(&context_, "");
    row::put(*model_, row);
    model_->eval();
  }
  void outputs(std::uint32_t* row) const { row::get(*model_, row); }
  void step(const std::uint32_t* row) {
    model_->clk = 1;
    model_->eval();
    row::put(*model_, row);
    model_->clk = 0;
    model_->eval();
  }

 private:
  VerilatedContext context_{};
  std::unique_ptr<Vringwalker> model_{};
};
