// An FST file of the model's signals. Without RW_WAVES it is nothing at all.
#pragma once

#include <cstdint>
#include <memory>

#include "pins.h"

#if RW_WAVES
#include "verilated_fst_c.h"
#endif

namespace rw {

class Waves {
 public:
#if RW_WAVES
  Waves(VerilatedContext& context, Pins& pins, const char* path);
  ~Waves() { file_->close(); }
  Waves(const Waves&) = delete;
  Waves& operator=(const Waves&) = delete;

  bool open() const { return file_->isOpen(); }
  void flush() { file_->flush(); }
  void next(const char* path);
  void enable(bool on) { enabled_ = on; }
  void dump(std::uint64_t picoseconds) {
    if (enabled_) file_->dump(picoseconds);
  }

 private:
  std::unique_ptr<VerilatedFstC> file_;
  bool enabled_ = true;
#else
  Waves(VerilatedContext&, Pins&, const char*) {}
  bool open() const { return false; }
  void flush() {}
  void next(const char*) {}
  void enable(bool) {}
  void dump(std::uint64_t) {}
#endif
};

}  // namespace rw
