#include "waves.h"

#if RW_WAVES

namespace rw {

Waves::Waves(VerilatedContext& context, Pins& pins, const char* path) : file_(std::make_unique<VerilatedFstC>()) {
  constexpr int every_level = 999;
  context.timeunit(-12);
  context.timeprecision(-12);
  pins.model().trace(file_.get(), every_level);
  file_->open(path);
}

void Waves::next(const char* path) {
  file_->close();
  file_->open(path);
}

}  // namespace rw

#endif
